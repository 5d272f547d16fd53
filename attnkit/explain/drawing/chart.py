"""Charts: panels of curves and of bars, side by side in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from attnkit.explain.drawing.canvas import LINE, QUIET, TEXT, Canvas, shorten, text_width
from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.ticks import format_tick, nice_ticks

BLUE: Colour = (31, 95, 208)
ORANGE: Colour = (214, 102, 20)
GREEN: Colour = (20, 130, 100)
PURPLE: Colour = (130, 70, 170)
GREY: Colour = (120, 128, 140)
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY)

_PANEL_WIDTH, _PANEL_HEIGHT = 420.0, 260.0
_LEFT, _TOP, _BETWEEN, _RIGHT, _BOTTOM = 72.0, 64.0, 84.0, 32.0, 60.0
_BAR_ROW, _BAR_LABEL = 24.0, 170.0

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """A line through points, by rising x; `dots` marks each of them while they are few."""

    name: str
    points: Points
    colour: Colour = BLUE
    dots: bool = False


@dataclass(frozen=True)
class CurvePanel:
    """Curves over one axis. Without any point the panel says so."""

    title: str
    curves: Sequence[Curve]
    x_label: str = "step"


@dataclass(frozen=True)
class BarPanel:
    """Horizontal bars, one a row, each with its figure.

    full: the figure of a bar of full length, the largest by default; panels that are to be compared share it.
    """

    title: str
    rows: Sequence[tuple[str, float]]
    digits: int = 1
    colour: Colour = BLUE
    full: float | None = None


def draw_chart(path: str | os.PathLike[str], panels: Sequence[CurvePanel | BarPanel]) -> None:
    """Draws the panels from left to right. Needs Pillow. Raises OSError."""
    bars = max((len(panel.rows) for panel in panels if isinstance(panel, BarPanel)), default=0)
    curves = any(isinstance(panel, CurvePanel) for panel in panels)
    height = max(_PANEL_HEIGHT if curves else 0.0, bars * _BAR_ROW)
    width = _LEFT + len(panels) * _PANEL_WIDTH + (len(panels) - 1) * _BETWEEN + _RIGHT
    canvas = Canvas(width, _TOP + height + (_BOTTOM if curves else _RIGHT), smooth=2)
    for index, panel in enumerate(panels):
        left = _LEFT + index * (_PANEL_WIDTH + _BETWEEN)
        canvas.text(left, 26, panel.title, 15, TEXT)
        if isinstance(panel, BarPanel):
            _draw_bars(canvas, left, panel)
        else:
            _draw_curves(canvas, left, panel)
    canvas.save(path)


# ----- Curves


def _draw_curves(canvas: Canvas, left: float, panel: CurvePanel) -> None:
    points = [point for curve in panel.curves for point in curve.points]
    if not points:
        canvas.text(left + _PANEL_WIDTH / 2, _TOP + _PANEL_HEIGHT / 2, "no figures yet", 13, QUIET, anchor="mm")
        return
    columns = nice_ticks(min(0.0, *(x for x, _ in points)), max(x for x, _ in points))
    low, high = min(y for _, y in points), max(y for _, y in points)
    values = nice_ticks(0.0 if 0 < low < high / 3 else low, high, count=6)  # down to 0 where little room is lost by it
    frame = _Frame(left, columns[0], max(x for x, _ in points) or 1.0, values[0], values[-1])
    _draw_axes(canvas, frame, columns, values, panel.x_label)
    for curve in panel.curves:
        _draw_curve(canvas, frame, curve)
    _draw_legend(canvas, left + _PANEL_WIDTH, [curve for curve in panel.curves if curve.points])


@dataclass(frozen=True)
class _Frame:
    """Where a point falls in the panel that starts at `left`."""

    left: float
    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return self.left + (step - self.first) / (self.last - self.first) * _PANEL_WIDTH

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * _PANEL_HEIGHT


def _draw_axes(canvas: Canvas, frame: _Frame, columns: list[float], values: list[float], x_label: str) -> None:
    for value in values:
        y = frame.y(value)
        canvas.line([(frame.left, y), (frame.left + _PANEL_WIDTH, y)], LINE, 1)
        canvas.text(frame.left - 8, y, format_tick(value, values[1] - values[0]), 11, QUIET, anchor="rm")
    bottom = _TOP + _PANEL_HEIGHT
    canvas.line([(frame.left, bottom), (frame.left + _PANEL_WIDTH, bottom)], QUIET, 1)
    for column in (column for column in columns if column <= frame.last * (1 + 1e-9)):
        x = frame.x(column)
        canvas.line([(x, bottom), (x, bottom + 4)], QUIET, 1)
        canvas.text(x, bottom + 15, format_tick(column, columns[1] - columns[0]), 11, QUIET, anchor="mm")
    canvas.text(frame.left + _PANEL_WIDTH / 2, bottom + 38, x_label, 11, QUIET, anchor="mm")


def _draw_curve(canvas: Canvas, frame: _Frame, curve: Curve) -> None:
    places = [(frame.x(x), frame.y(y)) for x, y in curve.points]
    if len(places) > 1:
        canvas.line(places, curve.colour, 2 if curve.dots else 1.5)
    if len(places) == 1 or (curve.dots and len(places) <= 40):
        for x, y in places:
            canvas.dot(x, y, 3, curve.colour)


def _draw_legend(canvas: Canvas, right: float, curves: list[Curve]) -> None:
    """From the right; one curve needs none. Beside the title while there are two, on a line of its own when more."""
    if len(curves) < 2:
        return
    y = 26.0 if len(curves) == 2 else 46.0
    for curve in reversed(curves):
        start = right - text_width(curve.name, 12)
        canvas.text(start, y, curve.name, 12, QUIET)
        canvas.line([(start - 26, y + 1), (start - 8, y + 1)], curve.colour, 2.5)
        right = start - 46


# ----- Bars


def _draw_bars(canvas: Canvas, left: float, panel: BarPanel) -> None:
    start, room = left + _BAR_LABEL, _PANEL_WIDTH - _BAR_LABEL - 60
    top = panel.full or max((value for _, value in panel.rows), default=0.0) or 1.0
    for index, (name, value) in enumerate(panel.rows):
        y = _TOP + (index + 0.5) * _BAR_ROW
        canvas.text(start - 8, y, shorten(name, 12, _BAR_LABEL + 40), 12, TEXT, anchor="rm")
        length = max(room * min(max(value, 0.0) / top, 1.0), 1.0)
        canvas.rectangle(start, y - 8, length, 16, panel.colour, 2)
        canvas.text(start + length + 6, y, f"{value:,.{panel.digits}f}", 11, QUIET)
