"""Documents: texts as sentences of ids, within limits, in the layout that classifiers read.

A document is packed in two levels: the ids of all sentences, sentence offsets into them, and document offsets into the
sentences. A model without sentences of its own reads each document as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit.text.corpus import flatten
from attnkit.text.html import text_of_html
from attnkit.text.layout import Layout
from attnkit.text.sentences import split_sentences
from attnkit.text.tokenizers.base import Tokenizer


class Document(NamedTuple):
    """A text as ids. cut: how many tokens at its end were left out, being beyond the layout's length."""

    sentences: list[list[int]]
    cut: int


@dataclass(frozen=True, slots=True)
class DocumentReader:
    """Turns texts into documents. html: they are HTML, whose tags are taken out first."""

    tokenizer: Tokenizer
    layout: Layout
    html: bool = False

    def prepare(self, text: str) -> str:
        """The text that is read, its white space as it was; empty where there is none."""
        return prepare_text(text, self.html)

    def read(self, text: str) -> Document:
        """A text that went through `prepare`. One without a token is a document without sentences."""
        layout, room, cut = self.layout, self.layout.max_length, 0
        sentences: list[list[int]] = []
        for part in self._parts(text):
            ids = self.tokenizer.encode(part)
            if layout.first is not None and ids:
                ids = [layout.first, *ids]
            end = [layout.last] if layout.last is not None and ids else []
            cut += max(0, len(ids) + len(end) - room)
            ids = ids[: max(0, room - len(end))] + end
            room -= len(ids)
            step = layout.max_sentence_length or layout.max_length
            sentences += [ids[start : start + step] for start in range(0, len(ids), step)]
        return Document(sentences, cut)

    def unknown(self, text: str) -> list[str]:
        """The parts of a prepared text that become the unknown token, in order."""
        return [token for part in self._parts(text) for token in self.tokenizer.unknown(part)]

    def _parts(self, text: str) -> list[str]:
        """The sentences, or the one that the whole text is; white space is single spaces, but for a tokenizer that
        keeps it."""
        parts = [text] if self.layout.max_sentence_length is None else split_sentences(text)
        return parts if self.tokenizer.keeps_space else [" ".join(part.split()) for part in parts]


def prepare_text(text: str, html: bool) -> str:
    """A text without tags, where it is HTML, and without white space at its ends."""
    return (text_of_html(text) if html else text).strip()


@dataclass(slots=True)
class DocumentReport:
    """What became of documents: how many were kept, how many had no token, and what was cut from long ones."""

    kept: int = 0
    empty: int = 0
    tokens: int = 0
    cut: int = 0
    cut_tokens: int = 0

    def __str__(self) -> str:
        text = f"{self.kept:,} documents, {self.tokens:,} tokens"
        if self.empty:
            text += f" ({self.empty:,} without a token left out)"
        if self.cut:
            share = 100 * self.cut_tokens / (self.tokens + self.cut_tokens)
            text += f"; cut: {self.cut:,} documents, by {self.cut_tokens:,} tokens ({share:.1f} %) beyond max_length"
        return text


@dataclass(frozen=True, slots=True)
class EncodedDocuments:
    """N documents as ids: int32 ids, int64 sentence offsets [S + 1] into them, int64 document offsets [N + 1] into the
    sentences, and a label for each document, int32 [N]."""

    ids: npt.NDArray[np.int32]
    sentence_offsets: npt.NDArray[np.int64]
    document_offsets: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int32]
    report: DocumentReport

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """The tokens of each document."""
        return np.diff(self.sentence_offsets[self.document_offsets])

    @classmethod
    def encode(cls, reader: DocumentReader, texts: Iterable[str], labels: Iterable[int]) -> EncodedDocuments:
        """Reads prepared texts; those without a token are left out and counted."""
        report = DocumentReport()
        counts, kept_labels = [0], []

        def sentences() -> Iterator[list[int]]:
            for text, label in zip(texts, labels, strict=True):
                document = reader.read(text)
                if not document.sentences:
                    report.empty += 1
                    continue
                counts.append(len(document.sentences))
                kept_labels.append(label)
                report.cut += document.cut > 0
                report.cut_tokens += document.cut
                yield from document.sentences

        ids, offsets = flatten(sentences())
        report.kept, report.tokens = len(kept_labels), len(ids)
        return cls(ids, offsets, np.cumsum(counts, dtype=np.int64), np.array(kept_labels, np.int32), report)
