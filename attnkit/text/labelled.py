"""Reading texts with their labels: a folder for each label, or JSON lines."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attnkit.data.lines import read_lines, read_records, string_field
from attnkit.data.order import held_out
from attnkit.printable import shortened

Example = tuple[str, str]
"""A text and its label."""


def read_folders(folder: Path) -> Iterator[Example]:
    """Every file below `folder/LABEL`, in the order of labels and names; a name in .gz is unpacked, hidden ones are
    passed over. Raises ValueError where there is no folder for a label, or a file is not UTF-8; OSError."""
    labels = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not labels:
        raise ValueError(f"[corpus] {folder}: expected a folder for each label, got none")
    for label in labels:
        for file in sorted(label.rglob("*")):
            if file.is_file() and not file.name.startswith("."):
                yield "\n".join(read_lines(file)), label.name


def read_labelled_jsonl(
    path: str | os.PathLike[str], text_key: str = "text", label_key: str = "label"
) -> Iterator[Example]:
    """One JSON object a line with a string under `text_key` and a string or a whole number under `label_key`.

    Raises ValueError naming file and line for anything else.
    """
    for where, record in read_records(path):
        label = record.get(label_key)
        if isinstance(label, int) and not isinstance(label, bool):
            label = str(label)
        if not isinstance(label, str) or not label.strip():
            got = "nothing" if label is None else "an empty one" if label == "" else type(label).__name__
            raise ValueError(f"{where}: expected a label, a string or a whole number, under {label_key!r}, got {got}")
        yield string_field(record, text_key, where), label


@dataclass(slots=True)
class LabelledTexts:
    """N texts and their labels. Empty texts are left out and counted."""

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    empty: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    @classmethod
    def from_examples(cls, examples: Iterable[Example], prepare: Callable[[str], str] = str.strip) -> LabelledTexts:
        """Takes examples from anywhere, a reader above or a list; `prepare` is done to each text."""
        texts = cls()
        for text, label in examples:
            if prepared := prepare(text):
                texts.texts.append(prepared)
                texts.labels.append(label)
            else:
                texts.empty += 1
        return texts

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        *,
        text_key: str = "text",
        label_key: str = "label",
        prepare: Callable[[str], str] = str.strip,
    ) -> LabelledTexts:
        """A folder with a folder for each label, or a file of JSON lines; `-` is standard input, and .gz works."""
        folder = Path(path)
        if folder.is_dir():
            return cls.from_examples(read_folders(folder), prepare)
        return cls.from_examples(read_labelled_jsonl(path, text_key, label_key), prepare)

    def classes(self) -> tuple[str, ...]:
        """The distinct labels, in code point order."""
        return tuple(sorted(set(self.labels)))

    def hold_out(self, share: float, seed: int) -> tuple[LabelledTexts, LabelledTexts]:
        """(the rest, the held-out ones): about `share` of the texts, drawn at random by the seed. Both keep the order,
        and each has a text."""
        rest, held = held_out(len(self), share, seed)
        return self._chosen(rest, self.empty), self._chosen(held)

    def _chosen(self, numbers: Sequence[int], empty: int = 0) -> LabelledTexts:
        return LabelledTexts([self.texts[n] for n in numbers], [self.labels[n] for n in numbers], empty)

    def describe(self) -> str:
        """`25,000 documents (neg 12,500, pos 12,500), 3 empty ones left out`."""
        counts = sorted(Counter(self.labels).items())
        shown = ", ".join(f"{shortened(label, 100)} {count:,}" for label, count in counts[:10])
        shown += ", ..." if len(counts) > 10 else ""
        left_out = f", {self.empty:,} empty left out" if self.empty else ""
        return f"{len(self):,} documents ({shown}){left_out}"
