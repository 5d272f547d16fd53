"""What a bench tells its contestants to do: it writes the file, they read it.

The time from the start of a process to its first result is measured, so this imports next to nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class EmbedWork:
    """texts: what is read. batch: texts at once. alone: how many are also read one at a time. longest: where all
    contestants cut a text, in tokens with those around it."""

    texts: list[str]
    batch: int
    alone: int = 100
    longest: int = 512

    def words(self) -> int:
        """Of all texts, by spaces."""
        return sum(len(text.split()) for text in self.texts)


@dataclass(frozen=True)
class ClassifyWork:
    """batch: images at once. alone: how many are also classified one at a time. The images are `pictures`' to keep."""

    batch: int
    alone: int = 16


@dataclass(frozen=True)
class CaptionWork:
    """length: tokens of every caption. batch: images at once. beam: hypotheses followed. alone: how many images are
    also captioned one at a time."""

    length: int
    batch: int
    beam: int
    alone: int = 16


def write_work(folder: Path, work: Any) -> None:
    """work: one of the dataclasses above, or another of numbers, texts and lists."""
    (folder / "work.json").write_text(json.dumps(work.__dict__), encoding="utf-8")


def read_work(folder: Path, kind: type[T]) -> T:
    return kind(**json.loads((folder / "work.json").read_text(encoding="utf-8")))
