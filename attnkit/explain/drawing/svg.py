"""Shapes as SVG: text stays text, pictures lie inside as data, and nothing is loaded or run."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from attnkit.explain.drawing.colours import Colour
from attnkit.explain.drawing.shapes import Box, Dot, Line, Polygon, Raster, Shape, Text

# Verdana is as wide as DejaVu Sans, by which the drawing is laid out; for other scripts the reader's own font is found.
_FONTS = "DejaVu Sans, Verdana, Noto Sans, Noto Sans CJK SC, sans-serif"
_ASCENT, _DESCENT = 0.928, 0.236  # of DejaVu Sans, for a size of 1
_ANCHORS = {"l": "start", "m": "middle", "r": "end"}
_CELL = 6  # pixels at least of a matrix's cell: not every program keeps edges when it enlarges


def svg(width: float, height: float, shapes: Sequence[Shape]) -> bytes:
    """The file's bytes: a drawing of width × height units."""
    size = f'width="{_number(width)}" height="{_number(height)}" viewBox="0 0 {_number(width)} {_number(height)}"'
    body = "\n".join(map(_element, shapes))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONTS}">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    ).encode("utf-8", "replace")


def _element(shape: Shape) -> str:
    match shape:
        case Box():
            return _box(shape)
        case Line():
            line = f'stroke="{_colour(shape.colour)}" stroke-width="{_number(shape.width)}" stroke-linejoin="round"'
            return f'<polyline points="{_points(shape.points)}" fill="none" {line}/>'
        case Polygon():
            return f'<polygon points="{_points(shape.points)}" fill="{_colour(shape.fill)}"/>'
        case Dot():
            return _dot(shape)
        case Text():
            return _text(shape)
        case Raster():
            return _raster(shape)


def _box(box: Box) -> str:
    inset = box.line / 2 if box.outline is not None else 0.0
    corner = f'x="{_number(box.x + inset)}" y="{_number(box.y + inset)}"'
    size = f'width="{_number(box.width - 2 * inset)}" height="{_number(box.height - 2 * inset)}"'
    look = f'fill="{_colour(box.fill)}"'
    if box.radius:
        look += f' rx="{_number(box.radius)}"'
    if box.outline is not None:
        look += f' stroke="{_colour(box.outline)}" stroke-width="{_number(box.line)}"'
    return f"<rect {corner} {size} {look}/>"


def _dot(dot: Dot) -> str:
    place = f'cx="{_number(dot.x)}" cy="{_number(dot.y)}" r="{_number(dot.radius)}"'
    return f'<circle {place} fill="{_colour(dot.colour)}"/>'


def _text(text: Text) -> str:
    # The base line is worked out here: programs differ in how they take dominant-baseline.
    down = {"a": _ASCENT, "m": (_ASCENT - _DESCENT) / 2, "s": 0.0}[text.anchor[1]] * text.size
    place = f'x="{_number(text.x)}" y="{_number(text.y + down)}"'
    look = f'font-size="{_number(text.size)}" fill="{_colour(text.colour)}"'
    if text.anchor[0] != "l":
        look += f' text-anchor="{_ANCHORS[text.anchor[0]]}"'
    if text.angle:
        look += f' transform="rotate({_number(-text.angle)} {_number(text.x)} {_number(text.y)})"'
    return f"<text {place} {look}>{escape(_legal(text.text))}</text>"


def _raster(raster: Raster) -> str:
    from PIL import Image

    picture, way = raster.picture.convert("RGB"), ""
    if raster.cells:
        enlarged = (picture.width * _times(picture.width), picture.height * _times(picture.height))
        picture, way = picture.resize(enlarged, Image.Resampling.NEAREST), ' image-rendering="optimizeSpeed"'
    file = io.BytesIO()
    if raster.cells:
        picture.save(file, format="PNG", optimize=True)
    else:
        picture.save(file, format="JPEG", quality=90)
    kind = "png" if raster.cells else "jpeg"
    data = f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
    place = f'x="{_number(raster.x)}" y="{_number(raster.y)}"'
    size = f'width="{_number(raster.width)}" height="{_number(raster.height)}" preserveAspectRatio="none"'
    return f'<image {place} {size}{way} href="{data}"/>'


def _times(cells: int) -> int:
    return min(_CELL, max(1, math.ceil(1024 / max(cells, 1))))


def _legal(text: str) -> str:
    """Without what XML cannot hold: control characters, lone surrogates and the last two of the plane."""
    return "".join(_replaced(character) for character in text)


def _replaced(character: str) -> str:
    code = ord(character)
    legal = code in (0x9, 0xA, 0xD) or (code >= 0x20 and not 0xD800 <= code <= 0xDFFF and code not in (0xFFFE, 0xFFFF))
    return character if legal else "\ufffd"


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_number(x)},{_number(y)}" for x, y in points)


def _number(value: float) -> str:
    """To a hundredth of a unit, without idle zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _colour(colour: Colour | None) -> str:
    return "none" if colour is None else "#{:02x}{:02x}{:02x}".format(*colour)
