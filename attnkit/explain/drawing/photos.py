"""Panels of pictures, each over its words, in as many rows as they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnkit.explain.drawing.canvas import LINE, QUIET, TEXT, Canvas, shorten
from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.overlay import GLOW, the_one, under_attention
from attnkit.explain.weights import Weights

if TYPE_CHECKING:
    from PIL.Image import Image

_ACROSS, _DOWN = 1150.0, 560.0  # of a slide
_LARGEST, _USUAL, _SMALLEST, _LEAST = 220.0, 150.0, 96.0, 56.0  # sides of a panel
_GAP = 12.0
_LABEL, _NOTE = 20.0, 15.0
_LABEL_SIZE, _NOTE_SIZE = 13.0, 10.5
_DARK, _BRIGHT = (25, 25, 25), (255, 255, 255)
QUERY: Colour = (0, 150, 255)
_PIXELS = 2  # for each unit: what a PNG shows

Square = tuple[float, float, float, float]
"""Left, top, width and height, in shares of the picture."""


@dataclass(frozen=True)
class Photo:
    """A picture to be drawn: label and smaller notes below it, a line each; frames around parts of it."""

    picture: Image
    label: str = ""
    notes: Sequence[str] = ()
    frames: Sequence[tuple[Square, Colour]] = ()

    @staticmethod
    def under(
        image: Image,
        weights: Weights,
        top: float,
        label: str,
        notes: Sequence[str] = (),
        query: tuple[int, int] | None = None,
    ) -> Photo:
        """A picture under attention [rows, columns]; query: the region (row, column) that looks, if one does."""
        side = round(_LARGEST * _PIXELS)
        frames = []
        one = the_one(weights)
        if one is not None:
            frames.append((_square(one, weights), GLOW))
        if query is not None:
            frames.append((_square(query, weights), QUERY))
        return Photo(under_attention(image.convert("RGB").resize((side, side)), weights, top), label, notes, frames)


@dataclass(frozen=True)
class Photos:
    """columns: how many stand in a row; as many as fit, where none is given. room: the width and height that columns
    share, those of a slide."""

    photos: Sequence[Photo]
    columns: int = 0
    row_titles: Sequence[str] = ()
    column_titles: Sequence[str] = ()
    room: tuple[float, float] = (_ACROSS, _DOWN)

    @property
    def width(self) -> float:
        return self._left + self._across * self._side + (self._across - 1) * _GAP

    @property
    def height(self) -> float:
        rows = -(-len(self.photos) // self._across)
        return self._top + rows * (self._side + self._words) + (rows - 1) * _GAP

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        side = self._side
        for column, title in enumerate(self.column_titles):
            middle = x + self._left + column * (side + _GAP) + side / 2
            canvas.text(middle, y + _LABEL / 2 - 2, shorten(title, 12.0, side), 12.0, TEXT, "mm")
        for row, title in enumerate(self.row_titles):
            middle = y + self._top + row * (side + self._words + _GAP) + side / 2
            canvas.text(x + _LABEL / 2 - 2, middle, shorten(title, 12.0, side), 12.0, TEXT, "mm", angle=90)
        for index, photo in enumerate(self.photos):
            row, column = divmod(index, self._across)
            left, top = x + self._left + column * (side + _GAP), y + self._top + row * (side + self._words + _GAP)
            _draw_photo(canvas, left, top, side, photo)

    @property
    def _across(self) -> int:
        if self.columns:
            return self.columns
        return max(1, min(len(self.photos), int((_ACROSS + _GAP) // (self._wished + _GAP))))

    @property
    def _side(self) -> float:
        if not self.columns:
            return self._wished
        rows = -(-len(self.photos) // self.columns)
        across, down = self.room
        fitting = min((across + _GAP) / self.columns, (down + _GAP) / rows - self._words) - _GAP
        return max(min(_LARGEST, fitting), _LEAST)

    @property
    def _wished(self) -> float:
        count = len(self.photos)
        return _LARGEST if count <= 5 else _USUAL if count <= 21 else _SMALLEST

    @property
    def _words(self) -> float:
        labelled = any(photo.label for photo in self.photos)
        return (_LABEL if labelled else 0.0) + _NOTE * max(len(photo.notes) for photo in self.photos)

    @property
    def _left(self) -> float:
        return _LABEL if self.row_titles else 0.0

    @property
    def _top(self) -> float:
        return _LABEL if self.column_titles else 0.0


def _draw_photo(canvas: Canvas, x: float, y: float, side: float, photo: Photo) -> None:
    canvas.picture(x, y, side, side, photo.picture)
    canvas.outline(x, y, side, side, LINE, 0.5)  # a white picture has an edge too
    for (left, top, width, height), colour in photo.frames:
        # Around what it frames, and between a dark and a bright line, so that the colour shows on any picture.
        for out, ink, line in ((4.0, _DARK, 1.0), (3.0, colour, 2.0), (1.0, _BRIGHT, 1.0)):
            corner = (x + left * side - out, y + top * side - out)
            canvas.outline(*corner, width * side + 2 * out, height * side + 2 * out, ink, line)
    y += side
    if photo.label:
        canvas.text(x + side / 2, y + _LABEL * 0.6, shorten(photo.label, _LABEL_SIZE, side), _LABEL_SIZE, TEXT, "mm")
        y += _LABEL
    for note in photo.notes:
        canvas.text(x + side / 2, y + _NOTE * 0.5, shorten(note, _NOTE_SIZE, side + _GAP), _NOTE_SIZE, QUIET, "mm")
        y += _NOTE


def _square(region: tuple[int, int], weights: Weights) -> Square:
    rows, columns = weights.shape
    return region[1] / columns, region[0] / rows, 1 / columns, 1 / rows
