"""Attention as a picture: a grid of cells, source words above, target words at the left."""

from __future__ import annotations

import os
from dataclasses import dataclass

from attnkit.explain.drawing.canvas import QUIET, TEXT, WHITE, Canvas, shorten, text_width
from attnkit.explain.drawing.colours import is_dark, shade
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.sentence.map import AttentionMap, scale_top
from attnkit.explain.weights import Weights

_MARGIN = 24.0
_TITLE_SIZE = 15.0
_LABEL_ROOM = 150.0  # the widest that a label may be
_GRID_SIDE = 1100.0  # what the longer side of the grid may take before its cells get smaller
_NUMBER_WIDTH, _NUMBER_HEIGHT = 30.0, 20.0  # cells of this size and larger show their weight
_SLANT = 0.7071  # of 45°


def write_png(
    path: str | os.PathLike[str], attention: AttentionMap, *, layer: int | None = None, head: int | None = None
) -> None:
    """Draws one layer and head, or the mean over those left as None, at two pixels a unit.

    Cells show their weight while they are large enough. Needs Pillow. Raises OSError, IndexError for a layer or head
    that the map does not hold.
    """
    weights = attention.view(layer, head)
    source, target = labels(attention.source_tokens), labels(attention.target_tokens)
    title = labels([attention.title])[0] if attention.title else ""
    layout = _Layout.of(source, target, title)
    canvas = Canvas(layout.width, layout.height, smooth=2 if layout.cell_height >= _NUMBER_HEIGHT else 1)
    if title:
        canvas.text(
            _MARGIN, _MARGIN + _TITLE_SIZE / 2, shorten(title, _TITLE_SIZE, layout.width - 2 * _MARGIN), _TITLE_SIZE
        )
    if weights.size:
        _draw_labels(canvas, layout, source, target)
        _draw_cells(canvas, layout, weights)
        _draw_scale(canvas, layout, scale_top(weights))
    else:
        canvas.text(_MARGIN, layout.top, "(no words)", 13, QUIET, anchor="la")
    canvas.save(path)


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in units: the grid's corner (left, top), its cells, and the picture around it."""

    left: float
    top: float
    cell_width: float
    cell_height: float
    label_size: float
    slanted: bool
    rows: int
    columns: int
    width: float
    height: float

    @staticmethod
    def of(source: list[str], target: list[str], title: str) -> _Layout:
        rows, columns = len(target), len(source)
        fit = _GRID_SIDE / max(rows, columns, 1)
        cell_width, cell_height = min(44.0, max(4.0, fit)), min(32.0, max(4.0, fit))
        label_size = min(14.0, max(9.0, cell_height * 0.75))
        widths = [min(text_width(label, label_size), _LABEL_ROOM) for label in source]
        slanted = any(width > cell_width - 4 for width in widths)
        # A slanted label leans to the right by as much as it rises; the last ones may lean past the grid.
        rise = max(widths, default=0.0) * _SLANT + label_size if slanted else label_size * 1.6
        ends = [cell_width * (column + 0.5) + width * _SLANT for column, width in enumerate(widths)]
        overhang = max(ends, default=0.0) - cell_width * columns
        left = _MARGIN + 10 + max((min(text_width(label, label_size), _LABEL_ROOM) for label in target), default=0.0)
        top = _MARGIN + (_TITLE_SIZE + 18 if title else 0) + rise
        grid = left + cell_width * columns
        width = max(grid + (max(overhang, 0.0) + label_size if slanted else 0.0), left + 180)
        wanted = min(text_width(title, _TITLE_SIZE), 1.6 * width, 1200.0) + _MARGIN if title else 0.0
        height = top + cell_height * rows + 44 + _MARGIN
        return _Layout(
            left, top, cell_width, cell_height, label_size, slanted, rows, columns, max(width, wanted) + _MARGIN, height
        )


def _draw_labels(canvas: Canvas, layout: _Layout, source: list[str], target: list[str]) -> None:
    size = layout.label_size
    # Where cells are lower than a line of text, only every so many words get their label.
    for column in range(0, len(source), _label_step(layout.cell_width, size)):
        text = shorten(source[column], size, _LABEL_ROOM)
        x = layout.left + layout.cell_width * (column + 0.5)
        if layout.slanted:
            canvas.slanted_text(x, layout.top - 6, text, size, TEXT)
        else:
            canvas.text(x, layout.top - 6 - size / 2, text, size, TEXT, anchor="mm")
    for row in range(0, len(target), _label_step(layout.cell_height, size)):
        text = shorten(target[row], size, _LABEL_ROOM)
        canvas.text(layout.left - 8, layout.top + layout.cell_height * (row + 0.5), text, size, TEXT, anchor="rm")


def _label_step(cell: float, size: float) -> int:
    return max(1, -int(-(size * 1.15) // cell))


def _draw_cells(canvas: Canvas, layout: _Layout, weights: Weights) -> None:
    top = scale_top(weights)
    gap = 1.5 if layout.cell_height >= 16 else 0.5
    with_numbers = layout.cell_width >= _NUMBER_WIDTH and layout.cell_height >= _NUMBER_HEIGHT
    number_size = 11.0 if layout.cell_width >= 40 else 9.0
    for row in range(layout.rows):
        for column in range(layout.columns):
            weight = float(weights[row, column])
            colour = shade(weight / top)
            x, y = layout.left + layout.cell_width * column, layout.top + layout.cell_height * row
            canvas.rectangle(x, y, layout.cell_width - gap, layout.cell_height - gap, colour, 3 if gap > 1 else 0)
            if with_numbers and weight >= 0.005:
                middle = (x + (layout.cell_width - gap) / 2, y + (layout.cell_height - gap) / 2)
                ink = WHITE if is_dark(colour) else QUIET if weight < 0.05 * top else TEXT
                canvas.text(*middle, f"{weight:.2f}", number_size, ink, anchor="mm")


def _draw_scale(canvas: Canvas, layout: _Layout, top: float) -> None:
    """The legend: from no attention to the weight that has the full colour."""
    y, width = layout.height - _MARGIN - 4, 120.0
    canvas.text(layout.left, y, "0", 11, QUIET)
    start = layout.left + 13
    for step in range(int(width)):
        canvas.rectangle(start + step, y - 4, 1, 8, shade(step / (width - 1)))
    canvas.text(start + width + 7, y, f"{top:.2f}", 11, QUIET)
