"""Heat maps: one matrix, or several with the same rows and columns side by side."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.explain.drawing.canvas import QUIET, TEXT, WHITE, Canvas, shorten, text_width
from attnkit.explain.drawing.colours import ORANGE, is_dark, shade, shades
from attnkit.explain.drawing.scale import Scale
from attnkit.explain.weights import Weights

_ONE, _SLIDE = (1100.0, 1100.0), (1140.0, 540.0)  # what one matrix, and what several (on a slide) may take
_WIDEST, _HIGHEST = 44.0, 32.0  # of a cell
_LEAST_PANEL = 40.0
_GAP = 12.0
_AXIS, _AXIS_SIZE = 22.0, 12.0
_TITLE, _TITLE_SIZE = 18.0, 12.0
_LEADING = 1.15  # of labels one below the other
_LABEL_ROOM = 150.0  # the widest that a label may be
_NUMBER_WIDTH, _NUMBER_HEIGHT = 30.0, 20.0  # cells of this size and larger show their weight
_VECTOR_CELLS, _VECTOR_SIDE = 4000, 4.0  # more cells, or smaller ones, are a raster
_SLANT = math.sqrt(0.5)  # of 45°


@dataclass(frozen=True)
class Matrix:
    """weights: [rows, columns]; centres: [rows], a place among the columns to be marked, from 0."""

    weights: Weights
    title: str = ""
    centres: npt.NDArray[np.floating[Any]] | None = None


@dataclass(frozen=True)
class Matrices:
    """Matrices of one size, at least one, with at least a row and a column.

    rows, columns: labels; row_axis, column_axis: what they are. grid: (rows, columns) of matrices, with row_titles and
    column_titles; without it they are arranged to fill a slide, each below its own title. mean: the label of one more
    row below each matrix, the mean over its rows; none where empty. separators: rows with a line above them.
    """

    panels: Sequence[Matrix]
    rows: Sequence[str]
    columns: Sequence[str]
    scale: Scale
    row_axis: str = ""
    column_axis: str = ""
    grid: tuple[int, int] | None = None
    row_titles: Sequence[str] = ()
    column_titles: Sequence[str] = ()
    mean: str = ""
    stretch: bool = False
    separators: Sequence[int] = ()

    @property
    def width(self) -> float:
        return self._layout.width

    @property
    def height(self) -> float:
        return self._layout.height

    @functools.cached_property
    def _layout(self) -> _Layout:
        return _Layout.of(self)

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        layout = self._layout
        _draw_axes(canvas, x, y, self, layout)
        for index, panel in enumerate(self.panels):
            row, column = divmod(index, layout.across)
            left, top = x + layout.panel_x(column), y + layout.panel_y(row)
            if panel.title and not self.column_titles:
                above = layout.rise if row == 0 else 0.0
                canvas.text(left, top - above - 9, shorten(panel.title, _TITLE_SIZE, layout.panel_width), _TITLE_SIZE)
            if row == 0:
                _draw_column_labels(canvas, left, top, self, layout)
            if column == 0:
                _draw_row_labels(canvas, left, top, self, layout)
            _draw_matrix(canvas, left, top, panel, self, layout)


@dataclass(frozen=True)
class _Layout:
    """Where things stand, in units from the corner of the whole."""

    across: int
    down: int
    cell_width: float
    cell_height: float
    row_size: float  # of labels; 0 where there are none
    column_size: float
    slanted: bool
    left: float  # of the first panel
    top: float
    rise: float  # of the labels above the columns
    panel_width: float
    panel_height: float
    strip: float  # the height of the row of means, with its gap
    between: float  # panels, from above to below
    width: float
    height: float

    def panel_x(self, column: int) -> float:
        return self.left + column * (self.panel_width + _GAP)

    def panel_y(self, row: int) -> float:
        return self.top + row * (self.panel_height + self.strip + self.between)

    @staticmethod
    def of(body: Matrices) -> _Layout:
        several = len(body.panels) > 1
        down, across = body.grid or _arranged(len(body.panels), len(body.rows), len(body.columns), body.stretch)
        between = _TITLE + 8 if any(panel.title for panel in body.panels) and not body.column_titles else _GAP
        cell_width, cell_height = _cell(body, down, across, between)
        row_size, column_size = (_label_size(cell, several) for cell in (cell_height, cell_width))
        column_size = min(column_size, max(row_size, 9.0)) if column_size else 0.0
        widths = [min(text_width(label, column_size), _LABEL_ROOM) for label in body.columns] if column_size else []
        slanted = any(width > cell_width - 4 for width in widths)
        rise = (max(widths) * _SLANT + column_size if slanted else column_size * 1.6) if widths else 0.0
        # A slanted label leans to the right by as much as it rises; the last ones may lean past the matrix.
        ends = [cell_width * (index + 0.5) + width * _SLANT for index, width in enumerate(widths)] if slanted else []
        panel_width, panel_height = cell_width * len(body.columns), cell_height * len(body.rows)
        overhang = max(0.0, max(ends, default=0.0) + (column_size if slanted else 0.0) - panel_width)
        left = (_AXIS if body.row_axis else 0.0) + (_TITLE if body.row_titles else 0.0)
        shown = ([*body.rows, body.mean] if row_size else []) or [body.mean]
        named = max((min(text_width(label, row_size or 11.0), _LABEL_ROOM) for label in shown), default=0.0)
        left += named + 16 if named else 0.0
        titled = _TITLE if body.column_titles or between > _GAP else 0.0
        top = (_AXIS if body.column_axis else 0.0) + titled + rise
        strip = (_NUMBER_HEIGHT if cell_width >= _NUMBER_WIDTH else 12.0) + 5 if body.mean else 0.0
        width = left + across * panel_width + (across - 1) * _GAP + overhang
        height = top + down * (panel_height + strip) + (down - 1) * between
        height = max(height, text_width(f"← {body.row_axis}", _AXIS_SIZE) if len(body.row_axis) < 40 else 0.0)
        return _Layout(
            across, down, cell_width, cell_height, row_size, column_size, slanted, left, top, rise,
            panel_width, panel_height, strip, between, width, height,
        )  # fmt: skip


def _cell(body: Matrices, down: int, across: int, between: float) -> tuple[float, float]:
    """The size of a cell, so that all fits a slide; beyond it where the panels would get too small."""
    several = len(body.panels) > 1
    room_x, room_y = _SLIDE if several else _ONE
    rows, columns = len(body.rows), len(body.columns)
    width = min(_WIDEST, (room_x - (across - 1) * _GAP) / across / columns)
    height = min(_HIGHEST, (room_y - (down - 1) * between) / down / rows)
    if body.stretch:
        height = min(height, _SLIDE[1] / down / rows)
    elif several:
        width, height = min(width, 1.5 * height), min(height, width)
    return max(width, _LEAST_PANEL / columns), max(height, min(_LEAST_PANEL / rows, 8.0))


def _arranged(count: int, rows: int, columns: int, stretch: bool) -> tuple[int, int]:
    """(down, across) for panels that come in no grid: what makes them largest on a slide."""

    def side(across: int) -> tuple[float, float]:
        down = -(-count // across)
        width, height = _SLIDE[0] / across, _SLIDE[1] / down - _TITLE
        shape = 0.62 if stretch else rows / columns
        return min(width, height / shape), float(-across)

    across = max(range(1, count + 1), key=side)
    return -(-count // across), across


def _label_size(cell: float, several: bool) -> float:
    """0 where there is no room. Of one matrix every so many labels are shown where cells are too small for all."""
    if several:
        return min(14.0, cell / _LEADING) if cell >= 8.0 * _LEADING else 0.0
    return min(14.0, max(9.0, cell * 0.75))


# ----- Around the matrices


def _draw_axes(canvas: Canvas, x: float, y: float, body: Matrices, layout: _Layout) -> None:
    down = layout.panel_y(layout.down - 1) + layout.panel_height - layout.top
    if body.column_axis:
        text = f"{body.column_axis} →"
        canvas.text(x + layout.left, y + _AXIS / 2 - 3, text, _AXIS_SIZE, QUIET)
    if body.row_axis:
        text = shorten(f"← {body.row_axis}", _AXIS_SIZE, layout.height)
        length = text_width(text, _AXIS_SIZE)
        end = layout.top if length <= down else max(layout.height - length, 0.0)  # beside the labels, if it is long
        canvas.text(x + _AXIS_SIZE / 2, y + end, text, _AXIS_SIZE, QUIET, "rm", angle=90)
    for column, title in enumerate(body.column_titles):
        middle = x + layout.panel_x(column) + layout.panel_width / 2
        text = shorten(title, _TITLE_SIZE, max(layout.panel_width + _GAP, 30.0))
        canvas.text(middle, y + layout.top - layout.rise - 9, text, _TITLE_SIZE, TEXT, "mm")
    for row, title in enumerate(body.row_titles):
        middle = y + layout.panel_y(row) + (layout.panel_height + layout.strip) / 2
        text = shorten(title, _TITLE_SIZE, max(layout.panel_height + layout.strip + _GAP, 30.0))
        canvas.text(x + (_AXIS if body.row_axis else 0) + _TITLE / 2 - 2, middle, text, _TITLE_SIZE, TEXT, "mm", 90)


def _draw_column_labels(canvas: Canvas, left: float, top: float, body: Matrices, layout: _Layout) -> None:
    size = layout.column_size
    # Where cells are narrower than a line of text is high, only every so many get their label.
    for column in range(0, len(body.columns), _label_step(layout.cell_width, size)) if size else ():
        text = shorten(body.columns[column], size, _LABEL_ROOM)
        x = left + layout.cell_width * (column + 0.5)
        if layout.slanted:
            canvas.text(x, top - 6, text, size, TEXT, "lm", angle=45)
        else:
            canvas.text(x, top - 6 - size / 2, text, size, TEXT, anchor="mm")


def _draw_row_labels(canvas: Canvas, left: float, top: float, body: Matrices, layout: _Layout) -> None:
    size = layout.row_size
    for row in range(0, len(body.rows), _label_step(layout.cell_height, size)) if size else ():
        text = shorten(body.rows[row], size, _LABEL_ROOM)
        canvas.text(left - 8, top + layout.cell_height * (row + 0.5), text, size, TEXT, anchor="rm")
    if body.mean:
        y = top + layout.panel_height + 5 + (layout.strip - 5) / 2
        canvas.text(left - 8, y, body.mean, size or 11.0, TEXT, anchor="rm")


def _label_step(cell: float, size: float) -> int:
    return max(1, math.ceil(size * _LEADING / cell - 1e-6))


# ----- The matrices


def _draw_matrix(canvas: Canvas, left: float, top: float, panel: Matrix, body: Matrices, layout: _Layout) -> None:
    weights, width, height = panel.weights, layout.cell_width, layout.cell_height
    if min(width, height) < _VECTOR_SIDE or weights.size * len(body.panels) > _VECTOR_CELLS:
        _draw_raster(canvas, left, top, layout.panel_width, layout.panel_height, weights, body.scale)
    else:
        for row, values in enumerate(weights.tolist()):
            _draw_row(canvas, left, top + row * height, values, width, height, body.scale)
    for row in body.separators:
        y = top + row * height - 0.75
        canvas.line([(left - 4, y), (left + layout.panel_width, y)], QUIET, 1)
    if panel.centres is not None:
        for row, centre in enumerate(panel.centres.tolist()):
            _draw_wedges(canvas, left + (centre + 0.5) * width, top + row * height, width, height)
    if body.mean:
        y = top + layout.panel_height + 5
        _draw_row(canvas, left, y, weights.mean(axis=0).tolist(), width, layout.strip - 5, body.scale)


def _draw_row(
    canvas: Canvas, left: float, top: float, values: list[float], width: float, height: float, scale: Scale
) -> None:
    gap = 1.5 if min(height, width) >= 14 else 0.5 if min(height, width) >= 6 else 0.0
    with_numbers = width >= _NUMBER_WIDTH and height >= _NUMBER_HEIGHT
    for column, weight in enumerate(values):
        strength = scale.strength(weight)
        colour = shade(strength)
        x = left + width * column
        canvas.rectangle(x, top, width - gap, height - gap, colour, 3 if gap > 1 else 0)
        if with_numbers and weight >= 0.005:
            ink = WHITE if is_dark(colour) else QUIET if strength < 0.05 else TEXT
            middle = (x + (width - gap) / 2, top + (height - gap) / 2)
            canvas.text(*middle, f"{weight:.2f}", 11.0 if width >= 40 else 9.0, ink, anchor="mm")


def _draw_raster(
    canvas: Canvas, x: float, y: float, width: float, height: float, weights: Weights, scale: Scale
) -> None:
    from PIL import Image

    levels = np.rint(np.clip(weights / scale.top, 0.0, 1.0) * 255).astype(np.uint8)
    canvas.picture(x, y, width, height, Image.fromarray(shades()[levels]), cells=True)


def _draw_wedges(canvas: Canvas, x: float, top: float, width: float, height: float) -> None:
    """One pointing down from the upper edge of a row and one up from its lower edge, which leave its number free."""
    size, bottom = max(2.0, min(5.0, min(width, height) * 0.22)), top + height - 1.5
    canvas.polygon([(x - size, top), (x + size, top), (x, top + size)], ORANGE)
    canvas.polygon([(x - size, bottom), (x + size, bottom), (x, bottom - size)], ORANGE)
