"""Running text with words and passages shaded by their weight."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from attnkit.explain.drawing.canvas import LINE, QUIET, TEXT, WHITE, Canvas, shorten, text_width
from attnkit.explain.drawing.colours import ORANGE, is_dark, mixed, shade
from attnkit.explain.drawing.pieces import SPECIAL

_WIDTH = 760.0
_SIZE, _LEADING = 14.0, 24.0
_BAR, _INDENT = 5.0, 16.0
_PAD = 2.0  # of the ground around a word
_FAINT = 0.05  # words of less strength have no ground
_NAME_SIZE = 12.0


@dataclass(frozen=True)
class Passage:
    """words: (gap, text), as `readable` gives them, with a strength from 0 to 1 each. bar: the strength of the passage
    itself, which gets a bar at its left; name: what stands above it."""

    words: Sequence[tuple[str, str]]
    strengths: Sequence[float]
    bar: float | None = None
    name: str = ""


@dataclass(frozen=True)
class _Word:
    """A token in its place: x and the number of its line."""

    x: float
    line: int
    width: float
    text: str
    strength: float
    special: bool


@dataclass(frozen=True)
class RunningText:
    """Passages, one below the other, wrapped at the width of a column."""

    passages: Sequence[Passage]

    @property
    def width(self) -> float:
        return _WIDTH

    @property
    def lines(self) -> int:
        return max(self._laid_out[-1][2] + 1, 1) if self._laid_out else 1

    @property
    def height(self) -> float:
        return _LEADING * self.lines

    @functools.cached_property
    def _laid_out(self) -> list[tuple[list[_Word], int, int]]:
        """For each passage its words, its first line and its last."""
        found, line = [], 0
        for passage in self.passages:
            start = line + 1 if passage.name else line
            words = _lay_out(passage, start)
            last = words[-1].line if words else start
            found.append((words, line, last))
            line = last + 1
        return found

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        for passage, (words, first, last) in zip(self.passages, self._laid_out, strict=True):
            top = y + _LEADING * first
            if passage.bar is not None:
                height = _LEADING * (last - first + 1) - 5
                canvas.rectangle(x, top + 2, _BAR, height, mixed(LINE, ORANGE, passage.bar), 2)
            if passage.name:
                canvas.text(x + _INDENT, top + _LEADING * 0.6, passage.name, _NAME_SIZE, QUIET)
            for word in words:
                _draw_ground(canvas, word, x, y)
            for word in words:  # above all grounds, which overlap a little
                _draw_text(canvas, word, x, y)


def _lay_out(passage: Passage, line: int) -> list[_Word]:
    words: list[_Word] = []
    x = _INDENT
    for (gap, text), strength in zip(passage.words, passage.strengths, strict=True):
        if not text.strip():
            x += text_width(text, _SIZE) if text else 0.0
            continue
        shown = shorten(text, _SIZE, _WIDTH - _INDENT)
        width = text_width(shown, _SIZE)
        x += text_width(" ", _SIZE) if gap else 0.0
        if x + width > _WIDTH and x > _INDENT:
            x, line = _INDENT, line + 1
        words.append(_Word(x, line, width, shown, strength, text in SPECIAL))
        x += width
    return words


def _draw_ground(canvas: Canvas, word: _Word, x: float, y: float) -> None:
    if word.strength >= _FAINT:
        top = y + _LEADING * word.line + 1.5
        canvas.rectangle(x + word.x - _PAD, top, word.width + 2 * _PAD, _LEADING - 4, shade(word.strength), 4)


def _draw_text(canvas: Canvas, word: _Word, x: float, y: float) -> None:
    dark = word.strength >= _FAINT and is_dark(shade(word.strength))
    ink = WHITE if dark else QUIET if word.special else TEXT
    canvas.text(x + word.x, y + _LEADING * (word.line + 0.5) - 0.5, word.text, _SIZE, ink)
