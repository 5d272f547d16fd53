"""Charts: panels of curves and of bars, each drawn into a box of the picture; and panels side by side."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

from attnkit.explain.drawing.canvas import LINE, QUIET, TEXT, Canvas, shorten, text_width
from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.ticks import format_tick, log_ticks, nice_ticks

BLUE: Colour = (31, 95, 208)
ORANGE: Colour = (214, 102, 20)
GREEN: Colour = (20, 130, 100)
PURPLE: Colour = (130, 70, 170)
GREY: Colour = (120, 128, 140)
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY)

_PANEL_WIDTH, _PANEL_HEIGHT = 420.0, 260.0
_LEFT, _BETWEEN, _RIGHT, _BOTTOM = 72.0, 84.0, 32.0, 60.0
_TITLE, _LEGEND_ROW = 16.0, 18.0
_TOP = 64.0  # from the upper edge of a picture to that of its first plot, in `draw_chart`
_AXIS = 48.0  # below a plot: its ticks and the name of its axis
_BAR_ROW = 24.0

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Box:
    """Where a panel lies in the picture, in units."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height


@dataclass(frozen=True)
class Curve:
    """A line through points, by rising x; `dots` marks each of them while they are few."""

    name: str
    points: Points
    colour: Colour = BLUE
    dots: bool = False


@dataclass(frozen=True)
class CurvePanel:
    """Curves over one axis. Without any point the panel says so.

    from_zero: the axis begins at 0 (steps do). y_range: the ends of the other axis, where panels are to be compared.
    log_x, log_y: an axis of equal ratios; points at or below 0 have no place there and are left out. ticks: the marks
    of the x axis, with what is written at them.
    """

    title: str
    curves: Sequence[Curve]
    x_label: str = "step"
    from_zero: bool = True
    y_range: tuple[float, float] | None = None
    log_x: bool = False
    log_y: bool = False
    ticks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True)
class BarPanel:
    """Horizontal bars, one a row, each with its figure.

    colours: one a row, where a row is something that has its colour in other panels, too.
    full: the figure of a bar of full length, the largest by default; panels that are to be compared share it.
    """

    title: str
    rows: Sequence[tuple[str, float]]
    digits: int = 1
    colour: Colour = BLUE
    full: float | None = None
    colours: Sequence[Colour] = ()


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
        plot = Box(left, _TOP, _PANEL_WIDTH, height)
        if isinstance(panel, BarPanel):
            _draw_rows(canvas, plot, panel)
        else:
            _draw_plot(canvas, plot, panel)
            _draw_legend(canvas, plot, _drawn(panel), 26.0 if len(_drawn(panel)) == 2 else 46.0)
    canvas.save(path)


# ----- Curves


def draw_curves(canvas: Canvas, box: Box, panel: CurvePanel) -> None:
    """The panel in its box, its title above and the names of its axis below."""
    canvas.text(box.left, box.top + _TITLE / 2, shorten(panel.title, _TITLE, box.width), _TITLE)
    left, top = box.left + _tick_width(panel) + 10, box.top + _TITLE + 14
    plot = Box(left, top, box.right - left - 6, 0.0)
    rows = _legend_rows(_drawn(panel), plot.width)
    top += _LEGEND_ROW * len(rows) + 4
    for index, row in enumerate(rows):
        _draw_legend(canvas, plot, row, box.top + _TITLE + 16 + _LEGEND_ROW * (index + 0.3))
    _draw_plot(canvas, Box(left, top, plot.width, box.bottom - _AXIS - top), panel)


def _drawn(panel: CurvePanel) -> list[Curve]:
    """The curves without the points that have no place, and without those that have no other."""
    kept = [
        Curve(
            curve.name,
            [(x, y) for x, y in curve.points if (x > 0 or not panel.log_x) and (y > 0 or not panel.log_y)],
            curve.colour,
            curve.dots,
        )
        for curve in panel.curves
    ]
    return [curve for curve in kept if curve.points]


def _axis(low: float, high: float, logarithmic: bool) -> list[float]:
    return log_ticks(low, high) if logarithmic else nice_ticks(low, high, 6)


def _values(panel: CurvePanel, points: Points) -> list[float]:
    """The ticks of the axis of values."""
    if panel.y_range is not None:
        return _axis(*panel.y_range, panel.log_y)
    low, high = min(y for _, y in points), max(y for _, y in points)
    down = not panel.log_y and 0 < low < high / 3  # down to 0 where little room is lost by it
    return _axis(0.0 if down else low, high, panel.log_y)


def _tick_width(panel: CurvePanel) -> float:
    points = [point for curve in _drawn(panel) for point in curve.points]
    ticks = _values(panel, points) if points else [0.0, 1.0]
    return max(text_width(_label(tick, ticks, panel.log_y), 12) for tick in ticks)


def _label(value: float, ticks: Sequence[float], logarithmic: bool) -> str:
    return f"{value:,.10g}" if logarithmic else format_tick(value, ticks[1] - ticks[0])


def _draw_plot(canvas: Canvas, plot: Box, panel: CurvePanel) -> None:
    curves = _drawn(panel)
    points = [point for curve in curves for point in curve.points]
    if not points:
        canvas.text(plot.left + plot.width / 2, plot.top + plot.height / 2, "no figures yet", 13, QUIET, anchor="mm")
        return
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    if panel.from_zero and not panel.log_x:
        first = min(0.0, first)
    columns = _axis(first, last, panel.log_x)
    if first < 0 or last <= first:
        first, last = columns[0], last if last > columns[0] else columns[-1]
    values = _values(panel, points)
    margin = 0.0 if panel.from_zero or panel.log_x else 0.03 * (last - first)
    frame = _Frame(plot, first - margin, last + margin, values[0], values[-1], panel.log_x, panel.log_y)
    marks = panel.ticks or [(column, _label(column, columns, panel.log_x)) for column in columns]
    _draw_axes(canvas, frame, marks, values, panel)
    for curve in reversed(curves):  # where two coincide the one that is named first is seen
        _draw_curve(canvas, frame, curve)


@dataclass(frozen=True)
class _Frame:
    """Where a point falls in the plot."""

    plot: Box
    first: float
    last: float
    low: float
    high: float
    log_x: bool = False
    log_y: bool = False

    def x(self, step: float) -> float:
        return self.plot.left + _share(step, self.first, self.last, self.log_x) * self.plot.width

    def y(self, value: float) -> float:
        return self.plot.bottom - _share(value, self.low, self.high, self.log_y) * self.plot.height


def _share(value: float, low: float, high: float, logarithmic: bool) -> float:
    if logarithmic:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low) if high > low else 0.5


def _draw_axes(
    canvas: Canvas, frame: _Frame, marks: Sequence[tuple[float, str]], values: list[float], panel: CurvePanel
) -> None:
    plot = frame.plot
    for value in values:
        y = frame.y(value)
        canvas.line([(plot.left, y), (plot.right, y)], LINE, 1)
        canvas.text(plot.left - 8, y, _label(value, values, panel.log_y), 12, QUIET, anchor="rm")
    canvas.line([(plot.left, plot.bottom), (plot.right, plot.bottom)], QUIET, 1)
    slack = 1e-9 * abs(frame.last - frame.first)
    for column, text in marks:
        if frame.first - slack <= column <= frame.last + slack:
            x = frame.x(column)
            canvas.line([(x, plot.bottom), (x, plot.bottom + 4)], QUIET, 1)
            canvas.text(x, plot.bottom + 15, text, 12, QUIET, anchor="mm")
    canvas.text(plot.left + plot.width / 2, plot.bottom + 38, panel.x_label, 12, QUIET, anchor="mm")


def _draw_curve(canvas: Canvas, frame: _Frame, curve: Curve) -> None:
    places = [(frame.x(x), frame.y(y)) for x, y in curve.points]
    if len(places) > 1:
        canvas.line(places, curve.colour, 2 if curve.dots else 1.5)
    if len(places) == 1 or (curve.dots and len(places) <= 40):
        for x, y in places:
            canvas.dot(x, y, 3, curve.colour)


def _legend_width(curve: Curve) -> float:
    return text_width(curve.name, 12) + 46


def _legend_rows(curves: Sequence[Curve], width: float) -> list[list[Curve]]:
    """The curves of each row of the legend; one curve needs none."""
    rows: list[list[Curve]] = []
    for curve in curves if len(curves) > 1 else ():
        if rows and sum(map(_legend_width, [*rows[-1], curve])) <= width + 20:
            rows[-1].append(curve)
        else:
            rows.append([curve])
    return rows


def _draw_legend(canvas: Canvas, plot: Box, curves: Sequence[Curve], y: float) -> None:
    """One row, from the right."""
    right = plot.right
    for curve in reversed(curves if len(curves) > 1 or plot.height == 0.0 else []):
        start = right - text_width(curve.name, 12)
        canvas.text(start, y, curve.name, 12, QUIET)
        canvas.line([(start - 26, y + 1), (start - 8, y + 1)], curve.colour, 2.5)
        right = start - 46


# ----- Bars


def draw_bars(canvas: Canvas, box: Box, panel: BarPanel) -> None:
    """The panel in its box, its title above."""
    canvas.text(box.left, box.top + _TITLE / 2, shorten(panel.title, _TITLE, box.width), _TITLE)
    top = box.top + _TITLE + 14
    _draw_rows(canvas, Box(box.left, top, box.width, box.bottom - top), panel)


def _draw_rows(canvas: Canvas, plot: Box, panel: BarPanel) -> None:
    names = max((text_width(name, 13) for name, _ in panel.rows), default=0.0)
    start = plot.left + min(names, 0.45 * plot.width) + 10
    room = plot.right - start - 64  # the figures stand behind the bars
    top = panel.full or max((value for _, value in panel.rows), default=0.0) or 1.0
    step = min(plot.height / max(len(panel.rows), 1), 48.0)
    for index, (name, value) in enumerate(panel.rows):
        y = plot.top + (index + 0.5) * step
        canvas.text(start - 8, y, shorten(name, 13, start - 8 - plot.left), 13, TEXT, anchor="rm")
        length = max(room * min(max(value, 0.0) / top, 1.0), 1.0)
        colour = panel.colours[index % len(panel.colours)] if panel.colours else panel.colour
        canvas.rectangle(start, y - step / 3, length, step / 1.5, colour, 2)
        canvas.text(start + length + 6, y, f"{value:,.{panel.digits}f}", 12, QUIET)
