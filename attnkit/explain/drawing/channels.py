"""Gates of channels as bars from 0 to 1: a panel for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attnkit.explain.drawing.canvas import LINE, QUIET, TEXT, Canvas, shorten
from attnkit.explain.drawing.colours import INK, PAPER, Colour, mixed

_ACROSS = 1140.0
_LEFT, _TITLE, _AXIS = 34.0, 20.0, 30.0
_GAP = 26.0
BAR: Colour = mixed(PAPER, INK, 0.75)


@dataclass(frozen=True)
class Channels:
    """layers: (name, gates of its channels, each from 0 to 1); axis: what the channels are called."""

    layers: Sequence[tuple[str, Sequence[float]]]
    axis: str = "channel"

    @property
    def width(self) -> float:
        return self._columns * (_LEFT + self._panel[0]) + (self._columns - 1) * _GAP

    @property
    def height(self) -> float:
        rows = -(-len(self.layers) // self._columns)
        return rows * (_TITLE + self._panel[1] + _AXIS) + (rows - 1) * 8

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        width, height = self._panel
        for index, (name, gates) in enumerate(self.layers):
            row, column = divmod(index, self._columns)
            left = x + column * (_LEFT + width + _GAP) + _LEFT
            top = y + row * (_TITLE + height + _AXIS + 8) + _TITLE
            canvas.text(left, top - _TITLE / 2 - 2, shorten(name, 12.0, width), 12.0, TEXT)
            _draw_frame(canvas, left, top, width, height, f"{self.axis} 1", str(len(gates)))
            _draw_bars(canvas, left, top, width, height, gates)

    @property
    def _columns(self) -> int:
        count = len(self.layers)
        return 1 if count == 1 else 2 if count <= 4 else 3 if count <= 9 else 4

    @property
    def _panel(self) -> tuple[float, float]:
        columns = self._columns
        rows = -(-len(self.layers) // columns)
        width = (min(_ACROSS, 560.0 * columns) - (columns - 1) * _GAP) / columns - _LEFT
        return width, max(70.0, min(240.0, 540.0 / rows - _TITLE - _AXIS))


def _draw_frame(canvas: Canvas, x: float, y: float, width: float, height: float, first: str, last: str) -> None:
    for value in (0.0, 0.5, 1.0):
        line = y + height * (1 - value)
        canvas.line([(x, line), (x + width, line)], LINE if value else QUIET, 1)
        canvas.text(x - 7, line, f"{value:g}", 10.5, QUIET, anchor="rm")
    canvas.text(x, y + height + 6, first, 10.5, QUIET, anchor="la")
    if last != "1":
        canvas.text(x + width, y + height + 6, last, 10.5, QUIET, anchor="ra")


def _draw_bars(canvas: Canvas, x: float, y: float, width: float, height: float, gates: Sequence[float]) -> None:
    """As one shape, however many there are; with a gap between them where there is room for one."""
    step = width / max(len(gates), 1)
    gap = min(1.5, step * 0.2) if step >= 3 else 0.0
    bottom = y + height
    points = [(x, bottom)]
    for index, gate in enumerate(gates):
        left, top = x + index * step, bottom - height * min(max(gate, 0.0), 1.0)
        points += [(left, bottom), (left, top), (left + step - gap, top), (left + step - gap, bottom)]
    canvas.polygon([*points, (x + width, bottom)], BAR)
