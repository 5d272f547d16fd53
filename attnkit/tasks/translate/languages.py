"""Which language a line is in and which is to be written, and how a line says it to the model.

A model for one pair asks nothing. One that writes several languages reads a tag such as `>>de<<` at the start of a
line. One that reads several too (NLLB-200, M2M-100) reads the token of the line's own language, and its output begins
with the token of the language to write; there a tag at the start of a line says that one.
"""

from __future__ import annotations

from typing import NamedTuple

from attnkit.printable import quoted
from attnkit.text.language_names import check_language, expected_language, find_language
from attnkit.text.languages import add_tag, split_tag, tag_of
from attnkit.text.tokenizers.base import Tokenizer
from attnkit.text.tokenizers.tagged import TaggedTokenizer


class Direction(NamedTuple):
    """From which language and to which; None where that is not said, or the model has one."""

    source: str | None
    to: str | None


class Languages:
    """The languages of a model.

    sources, targets: those that it reads and writes, by its own names; none where it has one. A converted model may
    have tags of targets and yet do without.
    """

    def __init__(self, source: Tokenizer) -> None:
        """By the tokenizer of its sources."""
        self._tagged = source if isinstance(source, TaggedTokenizer) else None
        self._inner = source if self._tagged is None else self._tagged.inner
        self.targets: tuple[str, ...] = getattr(source, "languages", ())
        self.both = self._tagged is not None and self._inner.marks_both
        self.sources = self.targets if self.both else ()

    def direction(self, source: str | None, to: str | None) -> Direction:
        """That of a call. Raises ValueError for languages that the model does not have, and where it must be told the
        source's."""
        if source is not None and not self.sources:
            raise ValueError(f"[translate] expected no source language: the model reads only one, got {quoted(source)}")
        if to is not None and not self.targets:
            raise ValueError(f"[translate] expected none: it writes only one, got {quoted(to)}")
        if not self.both:
            return Direction(None, None if to is None else check_language(to, self.targets))
        source, to = source or self._inner.source_language, to or self._inner.target_language
        if not source:
            expected = expected_language(self.sources)
            raise ValueError(f"[translate] expected {expected}, by source_language or --from, got none")
        return Direction(check_language(source, self.sources), check_language(to, self.targets) if to else None)

    def said(self, direction: Direction, line: str) -> tuple[Direction, int]:
        """The direction with what a line's own tag says, and the length of that tag; 0 where it has none."""
        own, rest = split_tag(line) if self.targets else (None, line)
        to = find_language(own, self.targets) if own is not None and self.both else own
        return (Direction(direction.source, to), len(line) - len(rest)) if to in self.targets else (direction, 0)

    def read(self, direction: Direction, line: str, name: str) -> tuple[str, int | None]:
        """A line as the source's tokenizer reads it, and the token that its output begins with, if any. `name` is what
        an error calls the line."""
        if not self.targets or not line or (direction.to is None and self._tagged is None):
            return line, None
        own, rest = split_tag(line)
        to = direction.to if own is None else find_language(own, self.targets) if self.both else own
        if to not in self.targets:
            got = "none; say it by to, or by a tag such as " + tag_of(self.targets[0]) if own is None else own
            raise ValueError(f"[translate] expected {expected_language(self.targets, own)} for {name}, got {got}")
        if not self.both:
            return line if own else add_tag(str(to), line), None
        assert self._tagged is not None and direction.source is not None
        return add_tag(direction.source, rest), self._tagged.ids[to]
