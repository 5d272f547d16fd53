"""A matrix as a panel of a picture: weights from 0 to 1, or signed numbers around 0, with the scale beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attnkit.explain.drawing.canvas import QUIET, TEXT, WHITE, Canvas, shorten, text_width
from attnkit.explain.drawing.chart import Box
from attnkit.explain.drawing.colours import Colour, is_dark, shade, signed_shade

_TITLE, _SCALE_ROW = 16.0, 22.0
_NUMBER_SIDE = 25.0  # cells of this width show their number
_SLANT = 0.7071  # of 45°


@dataclass(frozen=True)
class MatrixPanel:
    """values [rows, columns]: cells from 0 to `top`, or from -`top` to `top` where `signed`.

    rows, columns: what is written beside and above; empty texts leave a row or column without. scale: draw the scale
    below, which panels of one picture may share.
    """

    title: str
    values: npt.NDArray[np.floating]
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    signed: bool = False
    top: float = 1.0
    scale: bool = True
    numbers: bool = True


def draw_matrix(canvas: Canvas, box: Box, panel: MatrixPanel) -> None:
    """The panel in its box, its title above; cells are as wide as they find room, at most 3 times as wide as high."""
    canvas.text(box.left, box.top + _TITLE / 2, shorten(panel.title, _TITLE, box.width), _TITLE)
    if not panel.values.size:
        return
    grid = _grid(box, panel)
    cell = grid.width / panel.values.shape[1], grid.height / panel.values.shape[0]
    size = min(13.0, max(8.0, 0.8 * cell[1]))
    _draw_names(canvas, grid, panel, size)
    gap = 1.0 if min(cell) >= 8 else 0.0
    for row, numbers in enumerate(panel.values):
        for column, number in enumerate(numbers):
            x, y = grid.left + cell[0] * column, grid.top + cell[1] * row
            colour = _colour(panel, float(number))
            canvas.rectangle(x, y, cell[0] - gap, cell[1] - gap, colour)
            if panel.numbers and cell[0] >= _NUMBER_SIDE and cell[1] >= 13 and abs(number) >= 0.005:
                middle = x + (cell[0] - gap) / 2, y + (cell[1] - gap) / 2
                ink = WHITE if is_dark(colour) else TEXT
                canvas.text(*middle, f"{number:.2f}", min(11.0, 0.36 * cell[0]), ink, anchor="mm")
    if panel.scale:
        _draw_scale(canvas, Box(grid.left, grid.bottom + 8, min(grid.width, 220.0), 10), panel)


def _grid(box: Box, panel: MatrixPanel) -> Box:
    """What is left for the cells beside the names, the title and the scale."""
    rows, columns = panel.values.shape
    top = box.top + _TITLE + 12 + _rise(panel)
    left = box.left + (min(_widest(panel.rows), 0.4 * box.width) + 8 if any(panel.rows) else 0.0)
    height = box.bottom - top - (_SCALE_ROW if panel.scale else 4.0)
    cell = height / rows
    lean = _lean(panel)
    return Box(left, top, min(box.right - left - lean, 3.0 * cell * columns), height)


def _widest(names: Sequence[str]) -> float:
    return max((text_width(name, 13) for name in names), default=0.0)


def _rise(panel: MatrixPanel) -> float:
    return min(_widest(panel.columns), 90.0) * _SLANT + 12 if any(panel.columns) else 0.0


def _lean(panel: MatrixPanel) -> float:
    """How far the last name above may lean past the grid."""
    return min(_widest(panel.columns[-1:]), 90.0) * _SLANT if any(panel.columns) else 0.0


def _draw_names(canvas: Canvas, grid: Box, panel: MatrixPanel, size: float) -> None:
    width, height = grid.width / panel.values.shape[1], grid.height / panel.values.shape[0]
    for index, name in enumerate(panel.rows):
        if name:
            canvas.text(grid.left - 6, grid.top + (index + 0.5) * height, name, size, TEXT, anchor="rm")
    # Slanted lines lie closer to each other than the columns that they name.
    size = min(size, 12.0, max(7.0, 0.95 * _SLANT * width))
    for index, name in enumerate(panel.columns):
        if name:
            text = shorten(name, size, 90.0)
            canvas.text(grid.left + (index + 0.5) * width, grid.top - 6, text, size, TEXT, angle=45)


def _colour(panel: MatrixPanel, number: float) -> Colour:
    return signed_shade(number / panel.top) if panel.signed else shade(number / panel.top)


def _draw_scale(canvas: Canvas, bar: Box, panel: MatrixPanel) -> None:
    """From the least to the largest number that a cell can show."""
    low = -panel.top if panel.signed else 0.0
    texts = [f"{low:.3g}".replace("-", "−"), f"{panel.top:.3g}"]
    start, end = bar.left + text_width(texts[0], 11) + 6, bar.right - text_width(texts[1], 11) - 6
    canvas.text(bar.left, bar.top + 5, texts[0], 11, QUIET)
    steps = max(2, round(end - start))
    for step in range(steps):
        canvas.rectangle(
            start + step, bar.top, 1, bar.height, _colour(panel, low + (panel.top - low) * step / (steps - 1))
        )
    canvas.text(start + steps + 6, bar.top + 5, texts[1], 11, QUIET)
