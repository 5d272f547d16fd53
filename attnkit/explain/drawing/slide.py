"""A picture for a lecture: 16 to 9, a title, rows of panels, and a line that says when it shows nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

from attnkit.explain.drawing.canvas import TEXT, Canvas, shorten, text_width
from attnkit.explain.drawing.chart import BarPanel, Box, CurvePanel, draw_bars, draw_curves
from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.matrix import MatrixPanel, draw_matrix

WIDTH, HEIGHT = 1120.0, 630.0
_MARGIN, _TITLE, _BETWEEN = 36.0, 22.0, 36.0
_WARNING_INK: Colour = (140, 60, 0)
_WARNING_PAPER: Colour = (255, 240, 220)

Panel: TypeAlias = CurvePanel | BarPanel | MatrixPanel


def draw_slide(
    path: str | os.PathLike[str],
    title: str,
    rows: Sequence[Sequence[Panel]],
    *,
    warning: str = "",
    heights: Sequence[float] = (),
    widths: Sequence[float] = (),
) -> None:
    """Draws the panels of each row side by side, the rows one below the other. Needs Pillow. Raises OSError.

    heights: the shares of the rows, equal by default. widths: those of the panels, the same in every row; a shorter row
    leaves the last ones free. warning: words on a strip below the title.
    """
    canvas = Canvas(WIDTH, HEIGHT, smooth=2)
    canvas.text(_MARGIN, _MARGIN + 4, shorten(title, _TITLE, WIDTH - 2 * _MARGIN), _TITLE, TEXT)
    top = _MARGIN + 36
    if warning:
        top = draw_warning(canvas, top, warning)
    room = HEIGHT - _MARGIN / 2 - top - _BETWEEN * 0.6 * (len(rows) - 1)
    for row, height in zip(rows, _shares(heights or [1.0] * len(rows), room), strict=True):
        parts = widths or [1.0] * len(row)
        left, across = _MARGIN, WIDTH - 2 * _MARGIN - _BETWEEN * (len(parts) - 1)
        for panel, width in zip(row, _shares(parts, across), strict=False):
            _draw(canvas, Box(left, top, width, height), panel)
            left += width + _BETWEEN
        top += height + _BETWEEN * 0.6
    canvas.save(path)


def _shares(parts: Sequence[float], whole: float) -> list[float]:
    return [whole * part / sum(parts) for part in parts]


def _draw(canvas: Canvas, box: Box, panel: Panel) -> None:
    if isinstance(panel, CurvePanel):
        draw_curves(canvas, box, panel)
    elif isinstance(panel, BarPanel):
        draw_bars(canvas, box, panel)
    else:
        draw_matrix(canvas, box, panel)


def draw_warning(canvas: Canvas, top: float, warning: str) -> float:
    """A strip with the words; returns where the next thing begins."""
    lines = _wrapped(warning, 14.0, WIDTH - 2 * _MARGIN - 24)
    height = 20.0 * len(lines) + 8
    canvas.rectangle(_MARGIN, top - 8, WIDTH - 2 * _MARGIN, height, _WARNING_PAPER, 4)
    for index, line in enumerate(lines):
        canvas.text(_MARGIN + 12, top + 6 + 20.0 * index, line, 14.0, _WARNING_INK)
    return top + height + 8


def _wrapped(text: str, size: float, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
