"""What the colours and marks of a picture mean: below every one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from attnkit.explain.drawing.canvas import QUIET, TEXT, WARNING, Canvas, text_width
from attnkit.explain.drawing.colours import Colour, Ramp, shade
from attnkit.explain.drawing.scale import Scale

_BAR, _BAR_HEIGHT = 180.0, 10.0
_ROW = 20.0
_SIZE, _TICKS = 12.0, 10.5
_SWATCH = 26.0


@dataclass(frozen=True)
class Mark:
    """A sample of a mark, and what it stands for."""

    form: Literal["box", "frame", "line", "wedge"]
    colour: Colour
    words: str


@dataclass(frozen=True)
class Legend:
    """The scale of colours with its ends in numbers and what it measures, then marks, a row each.

    scale: None where no colour stands for a number. words: what the numbers are. notes: what must not be passed over.
    """

    scale: Scale | None = field(default_factory=Scale)
    words: str = ""
    marks: Sequence[Mark] = ()
    notes: Sequence[str] = ()
    ramp: Ramp = shade

    @property
    def width(self) -> float:
        widths = [_SWATCH + text_width(mark.words, _SIZE) for mark in self.marks]
        widths += [text_width(note, _SIZE) for note in self._notes]
        if self.scale is not None:
            widths.append(_BAR + 24 + text_width(self.words, _SIZE))
        return max(widths, default=0.0)

    @property
    def height(self) -> float:
        return (34.0 if self.scale is not None else 0.0) + _ROW * (len(self.marks) + len(self._notes))

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        if self.scale is not None:
            self._draw_scale(canvas, x, y, self.scale)
            y += 34
        for mark in self.marks:
            _draw_mark(canvas, x, y + _ROW / 2, mark)
            canvas.text(x + _SWATCH, y + _ROW / 2, mark.words, _SIZE, QUIET)
            y += _ROW
        for note in self._notes:
            canvas.text(x, y + _ROW / 2, note, _SIZE, WARNING)
            y += _ROW

    @property
    def _notes(self) -> list[str]:
        return [note for note in (self.scale.note if self.scale is not None else "", *self.notes) if note]

    def _draw_scale(self, canvas: Canvas, x: float, y: float, scale: Scale) -> None:
        steps = 90
        for step in range(steps):
            start = step * _BAR / steps  # each to the end, below the next one: edges that meet leave seams in SVG
            canvas.rectangle(x + start, y, _BAR - start, _BAR_HEIGHT, self.ramp(step / (steps - 1)))
        for share in (0.0, 0.5, 1.0):
            tick = x + share * _BAR
            canvas.line([(tick, y + _BAR_HEIGHT), (tick, y + _BAR_HEIGHT + 3)], QUIET, 1)
            anchor = "la" if share == 0.0 else "ra" if share == 1.0 else "ma"
            canvas.text(tick, y + _BAR_HEIGHT + 5, f"{share * scale.top:g}", _TICKS, TEXT, anchor=anchor)
        canvas.text(x + _BAR + 24, y + _BAR_HEIGHT / 2, self.words, _SIZE, QUIET)


def _draw_mark(canvas: Canvas, x: float, y: float, mark: Mark) -> None:
    if mark.form == "box":
        canvas.rectangle(x, y - 6, 16, 12, mark.colour, 3)
    elif mark.form == "frame":
        canvas.outline(x, y - 6, 16, 12, mark.colour, 2)
    elif mark.form == "wedge":
        canvas.polygon([(x + 3, y - 5), (x + 13, y - 5), (x + 8, y)], mark.colour)
    else:
        canvas.line([(x, y + 2.5), (x + 16, y + 2.5)], TEXT, 2)
        canvas.rectangle(x, y - 6, 16, 7.5, mark.colour)
