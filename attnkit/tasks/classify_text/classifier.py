"""Classifying texts with a model."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from attnkit import _tensor
from attnkit._tensor import Precision, check_precision
from attnkit.data.arrivals import Paused, windows
from attnkit.data.labels import of_the_model
from attnkit.distributed import Alone
from attnkit.tasks.shared.by_length import batches_by_length
from attnkit.tasks.shared.places import at
from attnkit.tasks.shared.progress import Done, unseen
from attnkit.text.document_batching import DocumentBatch
from attnkit.text.documents import EncodedDocuments

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.models.document_classifier import DocumentClassifier, DocumentWeights
    from attnkit.tasks.shared.answers import ClassificationReport
    from attnkit.tasks.shared.directory import ModelDirectory
    from attnkit.text.documents import DocumentReader
    from attnkit.text.labelled import LabelledTexts


@dataclass(frozen=True, slots=True, eq=False)
class DocumentAttention:
    """What a classifier looked at. words: for each sentence float32 [n], which sums to one over its n tokens.
    sentences: float32 [S], which sums to one over the sentences; a model without sentences has a single one."""

    words: list[npt.NDArray[np.float32]]
    sentences: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """One classified text.

    label: the likeliest class; empty for a text without a word.
    probability: the model's for that class; 0 for a text without a word.
    top: the likeliest classes with their probabilities, best first, as many as were asked for.
    sentences: the tokens that the model read, by sentence; one that it does not know is as the text has it.
    attention: what it looked at among them; None unless asked for.
    truncated: the text was longer than the model reads.
    unknown: the words or pieces of the text that the vocabulary does not have.
    """

    label: str
    probability: float
    top: list[tuple[str, float]]
    sentences: list[list[str]]
    attention: DocumentAttention | None
    truncated: bool = False
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Text:
    """A text on its way through the model; it has no sentences where it has no word."""

    number: int
    sentences: list[list[int]]
    truncated: bool
    unknown: list[str]

    @property
    def length(self) -> int:
        return sum(map(len, self.sentences))


class Classifier:
    """A model that classifies texts, with its tokenizer and its labels. Made by `attnkit.load`."""

    reads = "text"
    """What `classify` takes, for those who load any classifier."""

    def __init__(
        self, model: DocumentClassifier, reader: DocumentReader, labels: Sequence[str], *, precision: Precision = "fp32"
    ) -> None:
        check_precision(precision)
        self.model = model
        self.reader = reader
        self.labels = list(labels)
        self.precision: Precision = precision

    @classmethod
    def from_directory(cls, directory: ModelDirectory, precision: Precision) -> Classifier:
        """For `attnkit.load`. Raises FileNotFoundError or ValueError."""
        from attnkit.text.documents import DocumentReader

        labels, html = directory.required("labels"), directory.required("html")
        model = cast("DocumentClassifier", directory.load_model(precision))
        text = directory.tokenizers().source
        vocab_size, classes = directory.size("vocab_size"), directory.size("classes")
        if (text.vocab_size, len(labels)) != (vocab_size, classes):
            raise ValueError(
                f"[load] {directory.folder}: expected a tokenizer of {vocab_size} entries and {classes} labels, as the "
                f"model has, got {text.vocab_size} and {len(labels)}"
            )
        return cls(model, DocumentReader(text, model.config.layout, html), labels, precision=precision)

    def classify(
        self, texts: Iterable[str], *, top: int = 1, attention: bool = False, batch_tokens: int = 4096
    ) -> list[Classification]:
        """One Classification a text, in order. A text without a word gets an empty one.

        top: how many classes to return for each text. attention: also return what the model looked at; labels and
        probabilities are the same with and without. batch_tokens: about how many tokens go through the model at once.
        """
        if isinstance(texts, str):
            raise TypeError("[classify] expected a list of texts, got one string")
        texts = list(texts)
        window = max(1, len(texts))
        return list(self.classify_stream(texts, top=top, attention=attention, batch_tokens=batch_tokens, window=window))

    def classify_stream(
        self,
        texts: Iterable[str | Paused],
        *,
        top: int = 1,
        attention: bool = False,
        batch_tokens: int = 4096,
        window: int = 1024,
    ) -> Iterator[Classification]:
        """`classify` for input of any length: yields in input order while it reads, `window` texts at a time, or
        as many as there are before a PAUSE (`attnkit.data.arrivals`).

        Arguments are checked at the call; errors of `texts` itself pass through.
        """
        for name, value in (("top", top), ("batch_tokens", batch_tokens), ("window", window)):
            if value < 1:
                raise ValueError(f"[classify] expected {name} >= 1, got {value}")
        return self._stream(texts, top, attention, batch_tokens, window)

    def evaluate(self, data: LabelledTexts, *, batch_tokens: int = 4096, done: Done = unseen) -> ClassificationReport:
        """How often the likeliest class is the right one, by what training measures when it validates.

        data: texts with their labels, such as `LabelledTexts.read` gives; those without a word are left out and
        counted. done: called with the number of texts of each batch once they are classified. Raises ValueError for
        a label that is not among `labels`, and where there is nothing to measure.
        """
        from attnkit.tasks.classify_text.answers import answers
        from attnkit.tasks.shared.answers import ClassificationReport

        if batch_tokens < 1:
            raise ValueError(f"[evaluate] expected batch_tokens >= 1, got {batch_tokens}")
        numbers = of_the_model(data.labels, self.labels)
        texts = map(self.reader.prepare, data.texts)
        documents = EncodedDocuments.encode(self.reader, texts, numbers.tolist())
        if not len(documents):
            raise ValueError("[evaluate] expected texts with a word, got none")
        with _tensor.no_grad(), _tensor.precision(self.precision):
            found = answers(self.model, documents, batch_tokens, done, Alone())
        report = documents.report
        return ClassificationReport.of(found, self.labels, data.empty + report.empty, report.cut)

    def attention(self, text: str, target: str | None = None) -> AttentionMaps:
        """All that the model looks at in a text: "encoder", the self-attention of all layers and heads, "pooling" and
        "rollout" of a Transformer; "words" and "sentences" of a hierarchical attention network; see `AttentionMaps`.

        Raises ValueError for a text without a word, and for a target, which a classifier has no use for.
        """
        from attnkit import nn
        from attnkit.tasks.classify_text.attention import look
        from attnkit.tasks.shared.attention_kinds import check_no_target

        check_no_target(target)
        read = self._read(0, text)
        if not read.sentences:
            raise ValueError("[attention] expected a text with a word, got an empty one")
        with nn.watching(self.model) as seen:
            [result] = self._classify([read], 1, attention=True)
        return look(text.strip(), result, seen, self.reader.layout.max_sentence_length is not None)

    def _stream(
        self, texts: Iterable[str | Paused], top: int, attention: bool, batch_tokens: int, window: int
    ) -> Iterator[Classification]:
        for chunk in windows(texts, window):
            read = [self._read(number, text) for number, text in chunk]
            results: dict[int, Classification] = {}
            for batch in batches_by_length(read, lambda text: text.length, batch_tokens):
                for text, result in zip(batch, self._classify(batch, top, attention), strict=True):
                    results[text.number] = result
            nothing = DocumentAttention([], np.zeros(0, np.float32)) if attention else None
            empty = Classification("", 0.0, [], [], nothing)
            yield from (results.get(text.number, empty) for text in read)

    def _read(self, number: int, text: str) -> _Text:
        if not isinstance(text, str):
            raise TypeError(f"[classify] expected text in line {number + 1}, got {type(text).__name__}")
        with at(f"line {number + 1}"):
            prepared = self.reader.prepare(text)
            document = self.reader.read(prepared)
            has_unknown = any(self.reader.tokenizer.unk_id in sentence for sentence in document.sentences)
            unknown = self.reader.unknown(prepared) if has_unknown else []
        return _Text(number, document.sentences, document.cut > 0, unknown)

    def _classify(self, texts: list[_Text], top: int, attention: bool) -> Iterator[Classification]:
        from attnkit import ops

        batch = _pack(texts)
        with _tensor.no_grad(), _tensor.precision(self.precision):
            output = self.model(batch, return_weights=attention)
        logits, weights = output if isinstance(output, tuple) else (output, None)
        for index, (text, row) in enumerate(zip(texts, ops.softmax(logits.numpy()), strict=True)):
            best = np.argsort(-row, kind="stable")[:top]
            found = [(self.labels[number], float(row[number])) for number in best]
            yield Classification(
                label=found[0][0],
                probability=found[0][1],
                top=found,
                sentences=self._tokens(text),
                attention=None if weights is None else _attention(weights, batch, index),
                truncated=text.truncated,
                unknown=text.unknown,
            )

    def _tokens(self, text: _Text) -> list[list[str]]:
        """The pieces of a text by sentence, an unknown one as it stands in the text."""
        unknown = iter(text.unknown)
        tokenizer = self.reader.tokenizer
        named = ([*zip(ids, tokenizer.pieces(ids), strict=True)] for ids in text.sentences)
        return [
            [next(unknown, piece) if number == tokenizer.unk_id else piece for number, piece in sentence]
            for sentence in named
        ]


def _pack(texts: list[_Text]) -> DocumentBatch:
    sentences = [sentence for text in texts for sentence in text.sentences]
    return DocumentBatch(
        ids=np.array([number for sentence in sentences for number in sentence], np.int32),
        sentence_offsets=np.cumsum([0, *map(len, sentences)]).astype(np.int32),
        document_offsets=np.cumsum([0, *(len(text.sentences) for text in texts)]).astype(np.int32),
        labels=np.zeros(len(texts), np.int32),
        indices=np.arange(len(texts), dtype=np.int32),
    )


def _attention(weights: DocumentWeights, batch: DocumentBatch, index: int) -> DocumentAttention:
    """The part of a batch's weights that is about one document."""
    first, last = batch.document_offsets[index : index + 2]
    bounds = batch.sentence_offsets[first : last + 1]
    words = [weights.words[start:end] for start, end in itertools.pairwise(bounds)]
    return DocumentAttention(words, weights.sentences[first:last])
