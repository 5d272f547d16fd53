"""What a drawing is made of, before it is pixels or SVG. All lengths are in units of the drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnkit.explain.drawing.colours import Colour

if TYPE_CHECKING:
    from PIL.Image import Image

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle, filled or outlined; the outline runs along the inside of its edge."""

    x: float
    y: float
    width: float
    height: float
    fill: Colour | None
    radius: float = 0.0
    outline: Colour | None = None
    line: float = 1.0


@dataclass(frozen=True)
class Line:
    points: Sequence[Point]
    colour: Colour
    width: float


@dataclass(frozen=True)
class Polygon:
    points: Sequence[Point]
    fill: Colour


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    radius: float
    colour: Colour


@dataclass(frozen=True)
class Text:
    """One line. anchor: l, m or r across, then a (top), m (middle) or s (base line); angle: in degrees, to the left,
    around the anchor."""

    x: float
    y: float
    text: str
    size: float
    colour: Colour
    anchor: str
    angle: float = 0.0


@dataclass(frozen=True)
class Raster:
    """A picture, stretched to a box. cells: of a matrix, whose cells keep their edges; a photograph otherwise."""

    x: float
    y: float
    width: float
    height: float
    picture: Image
    cells: bool = False


Shape = Box | Line | Polygon | Dot | Text | Raster
