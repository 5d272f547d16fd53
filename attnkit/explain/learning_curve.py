"""The course of a training run as a picture: loss and BLEU by step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .canvas import LINE, QUIET, TEXT, Canvas, text_width
from .colours import Colour
from .ticks import format_tick, nice_ticks

_BLUE: Colour = (31, 95, 208)
_ORANGE: Colour = (214, 102, 20)
_GREEN: Colour = (20, 130, 100)
_PANEL_WIDTH, _PANEL_HEIGHT = 420.0, 260.0
_LEFT, _TOP, _BETWEEN, _RIGHT, _BOTTOM = 72.0, 64.0, 84.0, 32.0, 60.0

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class _Series:
    name: str
    key: str
    colour: Colour
    dots: bool


_PANELS = (
    ("Loss", (_Series("training", "loss", _BLUE, False), _Series("validation", "validation_loss", _ORANGE, True))),
    ("BLEU (validation)", (_Series("BLEU", "bleu", _GREEN, True),)),
)


def draw_learning_curve(metrics_path: str | os.PathLike[str], png_path: str | os.PathLike[str]) -> None:
    """Draws `metrics.jsonl` (one JSON object a line, with `step` and any of `loss`, `validation_loss` and `bleu`).

    A row may lack a figure, or hold null or a figure that is not finite: the curve goes on at the next one. A last
    line that a killed run left cut off is passed over. Needs Pillow. Errors: OSError, ValueError for a line that is
    no JSON object, with its number.
    """
    rows = _read(Path(metrics_path))
    canvas = Canvas(_LEFT + 2 * _PANEL_WIDTH + _BETWEEN + _RIGHT, _TOP + _PANEL_HEIGHT + _BOTTOM, smooth=2)
    for index, (title, series) in enumerate(_PANELS):
        left = _LEFT + index * (_PANEL_WIDTH + _BETWEEN)
        _draw_panel(canvas, left, title, [(one, _points(rows, one.key)) for one in series])
    canvas.save(png_path)


def _read(path: Path) -> list[dict[str, object]]:
    lines = path.read_bytes().split(b"\n")
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:  # bad JSON and bad UTF-8 alike
            if number == len(lines):  # no line end: the run was killed as it wrote
                break
            row = None
        if not isinstance(row, dict):
            raise ValueError(f"[draw_learning_curve] expected a JSON object on line {number} of {path}")
        rows.append(row)
    return rows


def _points(rows: Sequence[dict[str, object]], key: str) -> Points:
    """(step, figure) by rising step; of a step that was done twice (a resumed run) the later row counts."""
    points: dict[float, float] = {}
    for row in rows:
        step, value = row.get("step"), row.get(key)
        if _is_number(step) and _is_number(value):
            points[float(step)] = float(value)  # type: ignore[arg-type]
    return sorted(points.items())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _draw_panel(canvas: Canvas, left: float, title: str, curves: list[tuple[_Series, Points]]) -> None:
    canvas.text(left, 26, title, 15, TEXT)
    points = [point for _, curve in curves for point in curve]
    if not points:
        canvas.text(left + _PANEL_WIDTH / 2, _TOP + _PANEL_HEIGHT / 2, "no figures yet", 13, QUIET, anchor="mm")
        return
    steps = nice_ticks(min(0.0, *(x for x, _ in points)), max(x for x, _ in points))
    low, high = min(y for _, y in points), max(y for _, y in points)
    values = nice_ticks(0.0 if 0 < low < high / 3 else low, high, count=6)  # down to 0 where little room is lost by it
    frame = _Frame(left, steps[0], max(x for x, _ in points) or 1.0, values[0], values[-1])
    _draw_axes(canvas, frame, steps, values)
    for series, curve in curves:
        _draw_curve(canvas, frame, series, curve)
    _draw_legend(canvas, left + _PANEL_WIDTH, [series for series, curve in curves if curve])


@dataclass(frozen=True)
class _Frame:
    """Where a step and a figure fall in the panel that starts at `left`."""

    left: float
    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        return self.left + (step - self.first) / (self.last - self.first) * _PANEL_WIDTH

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * _PANEL_HEIGHT


def _draw_axes(canvas: Canvas, frame: _Frame, steps: list[float], values: list[float]) -> None:
    for value in values:
        y = frame.y(value)
        canvas.line([(frame.left, y), (frame.left + _PANEL_WIDTH, y)], LINE, 1)
        canvas.text(frame.left - 8, y, format_tick(value, values[1] - values[0]), 11, QUIET, anchor="rm")
    bottom = _TOP + _PANEL_HEIGHT
    canvas.line([(frame.left, bottom), (frame.left + _PANEL_WIDTH, bottom)], QUIET, 1)
    for step in (step for step in steps if step <= frame.last * (1 + 1e-9)):
        x = frame.x(step)
        canvas.line([(x, bottom), (x, bottom + 4)], QUIET, 1)
        canvas.text(x, bottom + 15, format_tick(step, steps[1] - steps[0]), 11, QUIET, anchor="mm")
    canvas.text(frame.left + _PANEL_WIDTH / 2, bottom + 38, "step", 11, QUIET, anchor="mm")


def _draw_curve(canvas: Canvas, frame: _Frame, series: _Series, curve: Points) -> None:
    places = [(frame.x(step), frame.y(value)) for step, value in curve]
    if len(places) > 1:
        canvas.line(places, series.colour, 2 if series.dots else 1.5)
    if len(places) == 1 or (series.dots and len(places) <= 40):
        for x, y in places:
            canvas.dot(x, y, 3, series.colour)


def _draw_legend(canvas: Canvas, right: float, series: list[_Series]) -> None:
    """From the right, on the line of the title; one curve needs none."""
    if len(series) < 2:
        return
    for one in reversed(series):
        start = right - text_width(one.name, 12)
        canvas.text(start, 26, one.name, 12, QUIET)
        canvas.line([(start - 26, 27), (start - 8, 27)], one.colour, 2.5)
        right = start - 46
