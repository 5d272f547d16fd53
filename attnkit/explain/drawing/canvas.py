"""A drawing on white, described once and written as pixels or as SVG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.fonts import shorten, text_width
from attnkit.explain.drawing.shapes import Box, Dot, Line, Point, Polygon, Raster, Shape, Text
from attnkit.files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LINE", "QUIET", "TEXT", "WARNING", "WHITE", "Canvas", "shorten", "text_width"]

TEXT: Colour = (27, 35, 48)
QUIET: Colour = (93, 104, 121)
LINE: Colour = (225, 229, 235)
WHITE: Colour = (255, 255, 255)
WARNING: Colour = (176, 68, 0)  # of words that a reader must not pass over


class Canvas:
    """A white drawing of width × height units. Every length is in units; a PNG has two pixels for each.

    What is drawn is kept as shapes until it is saved, so that one description gives every kind of file. smooth: how
    many times larger a PNG is drawn before it is brought to size, since Pillow smooths text but no lines and corners.
    """

    def __init__(self, width: float, height: float, smooth: int = 1) -> None:
        self.width = width
        self.height = height
        self._smooth = smooth
        self._shapes: list[Shape] = []

    def rectangle(self, x: float, y: float, width: float, height: float, fill: Colour, radius: float = 0.0) -> None:
        self._shapes.append(Box(x, y, width, height, fill, radius))

    def outline(self, x: float, y: float, width: float, height: float, colour: Colour, line: float = 1.0) -> None:
        """The edge of a rectangle alone; the line runs inside it."""
        self._shapes.append(Box(x, y, width, height, None, 0.0, colour, line))

    def line(self, points: Sequence[Point], colour: Colour, width: float = 1.0) -> None:
        self._shapes.append(Line(list(points), colour, width))

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        self._shapes.append(Polygon(list(points), fill))

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self._shapes.append(Dot(x, y, radius, colour))

    def text(
        self, x: float, y: float, text: str, size: float, colour: Colour = TEXT, anchor: str = "lm", angle: float = 0.0
    ) -> None:
        """`anchor` as in Pillow: l, m or r across, then a (top), m (middle) or s (base line); angle: in degrees to the
        left, around that point."""
        self._shapes.append(Text(x, y, text, size, colour, anchor, angle))

    def picture(self, x: float, y: float, width: float, height: float, picture: Image, cells: bool = False) -> None:
        """Another picture, stretched to this size; cells: a matrix, whose cells keep their edges."""
        self._shapes.append(Raster(x, y, width, height, picture, cells))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes SVG where the path ends in .svg, PNG otherwise. Raises OSError."""
        from attnkit.explain.drawing.pixels import png
        from attnkit.explain.drawing.svg import svg

        if Path(path).suffix.lower() == ".svg":
            content = svg(self.width, self.height, self._shapes)
        else:
            content = png(self.width, self.height, self._shapes, self._smooth)
        with atomic_write(path) as file:
            file.write(content)
