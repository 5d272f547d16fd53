"""A classified document as a picture: running text, words and sentences shaded by their weight."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from attnkit.explain.document.map import DocumentMap, readable
from attnkit.explain.drawing.canvas import LINE, QUIET, TEXT, WHITE, Canvas, shorten, text_width
from attnkit.explain.drawing.colours import Colour, is_dark, shade
from attnkit.explain.drawing.pieces import labels

_MARGIN, _WIDTH = 28.0, 760.0
_SIZE, _LEADING = 14.0, 24.0
_BAR, _INDENT = 5.0, 16.0
_PAD = 2.0  # of the ground around a word
_FAINT = 0.05  # words of less strength have no ground
_BAR_COLOUR: Colour = (214, 102, 20)


@dataclass(frozen=True)
class _Word:
    """A token in its place: x and the number of its line."""

    x: float
    line: int
    width: float
    text: str
    strength: float


def write_document_png(path: str | os.PathLike[str], document: DocumentMap) -> None:
    """Draws the title, the classes and the text, wrapped. Needs Pillow. Raises OSError."""
    header = [labels([document.title])[0]] if document.title else []
    header += ["   ".join(f"{labels([label])[0]} {100 * share:.1f} %" for label, share in document.classes)]
    laid_out, line = [], 0
    for tokens, strengths in zip(document.sentences, document.word_strengths(), strict=True):
        words = _lay_out(tokens, strengths.tolist(), line)
        last = words[-1].line if words else line
        laid_out.append((words, line, last))
        line = last + 1
    top = _MARGIN + 26.0 * len(header) + 8
    canvas = Canvas(_WIDTH, top + _LEADING * max(line, 1) + _MARGIN, smooth=2 if line < 60 else 1)
    for number, text in enumerate(header):
        room = _WIDTH - 2 * _MARGIN
        size, colour = (15.0, TEXT) if number == 0 else (13.0, QUIET)
        canvas.text(_MARGIN, _MARGIN + 26.0 * number + 8, shorten(text, size, room), size, colour)
    if not document.sentences:
        canvas.text(_MARGIN, top + _LEADING / 2, "(no words)", _SIZE, QUIET)
    for (words, first, last), strength in zip(laid_out, document.sentence_strengths().tolist(), strict=True):
        height = _LEADING * (last - first + 1) - 5
        canvas.rectangle(_MARGIN, top + _LEADING * first + 2, _BAR, height, _mixed(LINE, _BAR_COLOUR, strength), 2)
        for word in words:
            _draw_ground(canvas, word, top)
        for word in words:  # above all grounds, which overlap a little
            _draw_text(canvas, word, top)
    canvas.save(path)


def _lay_out(tokens: Sequence[str], strengths: list[float], line: int) -> list[_Word]:
    words: list[_Word] = []
    x, right = _MARGIN + _INDENT, _WIDTH - _MARGIN
    for (gap, token), strength in zip(readable(tokens), strengths, strict=True):
        if not token.strip():
            x += text_width(token, _SIZE) if token else 0.0
            continue
        text = shorten(token, _SIZE, right - _MARGIN - _INDENT)
        width = text_width(text, _SIZE)
        x += text_width(" ", _SIZE) if gap else 0.0
        if x + width > right and x > _MARGIN + _INDENT:
            x, line = _MARGIN + _INDENT, line + 1
        words.append(_Word(x, line, width, text, strength))
        x += width
    return words


def _draw_ground(canvas: Canvas, word: _Word, top: float) -> None:
    if word.strength >= _FAINT:
        y = top + _LEADING * word.line + 1.5
        canvas.rectangle(word.x - _PAD, y, word.width + 2 * _PAD, _LEADING - 4, shade(word.strength), 4)


def _draw_text(canvas: Canvas, word: _Word, top: float) -> None:
    ink = WHITE if word.strength >= _FAINT and is_dark(shade(word.strength)) else TEXT
    canvas.text(word.x, top + _LEADING * (word.line + 0.5) - 0.5, word.text, _SIZE, ink)


def _mixed(low: Colour, high: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    return red, green, blue
