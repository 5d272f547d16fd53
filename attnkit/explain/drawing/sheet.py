"""One sheet for every picture of attention: what was read as the title, the drawing, and a legend below."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from attnkit.explain.drawing.canvas import QUIET, TEXT, Canvas, text_width
from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.fonts import wrapped
from attnkit.explain.drawing.pieces import labels

_MARGIN = 24.0
_LEAST, _MOST = 440.0, 1180.0  # of the width inside the margins that a title may ask for
_TITLE, _OUTPUT, _NAME = 17.0, 15.0, 12.5
_TITLE_LINES, _OUTPUT_LINES = 3, 2
_LEADING = 1.4
_ARROW = "→"


class Body(Protocol):
    """A part of a sheet, of a size in units, which can draw itself at a corner."""

    @property
    def width(self) -> float: ...

    @property
    def height(self) -> float: ...

    def draw(self, canvas: Canvas, x: float, y: float) -> None: ...


@dataclass(frozen=True)
class Header:
    """title: what was read; output: what the model made of it; name: what the drawing shows."""

    title: str = ""
    output: str = ""
    name: str = ""

    def height(self, width: float) -> float:
        return sum(size * _LEADING for _, size, _, _ in self._lines(width)) + (10 if self.wish else 0)

    def draw(self, canvas: Canvas, x: float, y: float, width: float) -> None:
        arrow = True
        for text, size, colour, indent in self._lines(width):
            if indent and arrow:  # apart from the text, which may run from right to left
                canvas.text(x, y + size / 2, _ARROW, size, colour)
                arrow = False
            canvas.text(x + indent, y + size / 2, text, size, colour)
            y += size * _LEADING

    def _lines(self, width: float) -> list[tuple[str, float, Colour, float]]:
        """(text, size, colour, indent) of each line."""
        indent = text_width(_ARROW + " ", _OUTPUT)
        title = wrapped(_shown(self.title), _TITLE, width, _TITLE_LINES)
        output = wrapped(_shown(self.output), _OUTPUT, width - indent, _OUTPUT_LINES)
        name = wrapped(_shown(self.name), _NAME, width, 2)
        lines = [(text, _TITLE, TEXT, 0.0) for text in title]
        lines += [(text, _OUTPUT, TEXT, indent) for text in output]
        return lines + [(text, _NAME, QUIET, 0.0) for text in name]

    @property
    def wish(self) -> float:
        """The width that it would like to have."""
        sized = ((self.title, _TITLE), (self.output, _OUTPUT), (self.name, _NAME))
        return max(text_width(_shown(text)[:400], size) for text, size in sized)


@dataclass(frozen=True)
class Note:
    """A word where there is nothing to draw."""

    text: str = "(no words)"

    @property
    def width(self) -> float:
        return text_width(self.text, 13)

    @property
    def height(self) -> float:
        return 24.0

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        canvas.text(x, y, self.text, 13, QUIET, anchor="la")


def save_sheet(
    path: str | os.PathLike[str], header: Header, body: Body, legend: Body | None = None, smooth: int = 2
) -> None:
    """Lays the parts out one below the other and writes them, as SVG or PNG by the suffix. Raises OSError."""
    parts: Sequence[Body] = [body] if legend is None else [body, legend]
    # A long title asks for room beside a small drawing; it is broken into lines rather than cut.
    wish = min(header.wish, max(_LEAST, 1.3 * body.width), _MOST)
    width = max(wish, *(part.width for part in parts))
    tops = header.height(width)
    canvas = Canvas(
        width + 2 * _MARGIN, 2 * _MARGIN + tops + sum(part.height for part in parts) + 18 * (len(parts) - 1), smooth
    )
    header.draw(canvas, _MARGIN, _MARGIN, width)
    y = _MARGIN + tops
    for part in parts:
        part.draw(canvas, _MARGIN, y)
        y += part.height + 18
    canvas.save(path)


def _shown(text: str) -> str:
    """One line without what could turn it around or end it."""
    return labels([" ".join(text.split())])[0] if text.strip() else ""
