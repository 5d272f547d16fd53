"""Shapes as a PNG, by Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnkit.explain.drawing.fonts import SCALE, font_for
from attnkit.explain.drawing.shapes import Box, Dot, Line, Polygon, Raster, Shape, Text

if TYPE_CHECKING:
    from PIL.Image import Image

_WHITE = (255, 255, 255)


def png(width: float, height: float, shapes: Sequence[Shape], smooth: int = 1) -> bytes:
    """The file's bytes: a picture of width × height units, drawn `smooth` times larger and brought to size."""
    painter = _Painter(width, height, SCALE * smooth)
    for shape in shapes:
        painter.draw(shape)
    image = painter.image.reduce(smooth) if smooth > 1 else painter.image
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()


class _Painter:
    """scale: pixels for each unit."""

    def __init__(self, width: float, height: float, scale: int) -> None:
        from PIL import Image, ImageDraw  # a heavy import, only for those who draw

        self.image = Image.new("RGB", (round(width * scale), round(height * scale)), _WHITE)
        self._draw: Any = ImageDraw.Draw(self.image)
        self._scale = scale

    def draw(self, shape: Shape) -> None:
        match shape:
            case Box():
                self._box(shape)
            case Line():
                self._draw.line(self._flat(shape.points), shape.colour, max(1, self._pixels(shape.width)), "curve")
            case Polygon():
                self._draw.polygon(self._flat(shape.points), fill=shape.fill)
            case Dot():
                self._dot(shape)
            case Text():
                self._text(shape)
            case Raster():
                self._raster(shape)

    def _box(self, box: Box) -> None:
        right, bottom = self._pixels(box.x + box.width) - 1, self._pixels(box.y + box.height) - 1
        corners = (self._pixels(box.x), self._pixels(box.y), right, bottom)
        if right >= corners[0] and bottom >= corners[1]:  # a box of less than a pixel is not there
            line = max(1, self._pixels(box.line)) if box.outline is not None else 0
            self._draw.rounded_rectangle(corners, self._pixels(box.radius), box.fill, box.outline, line)

    def _dot(self, dot: Dot) -> None:
        x, y, radius = dot.x * self._scale, dot.y * self._scale, dot.radius * self._scale
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=dot.colour)

    def _text(self, text: Text) -> None:
        font = font_for(text.text, self._pixels(text.size))
        if text.angle == 0.0:
            place = (text.x * self._scale, text.y * self._scale)
            self._draw.text(place, text.text, fill=text.colour, font=font, anchor=text.anchor)
            return
        from PIL import Image, ImageDraw

        side = 2 * (round(font.getlength(text.text)) + 2 * self._pixels(text.size))
        mask = Image.new("L", (side, side))  # the anchor is its centre, so the turn keeps that point in place
        ImageDraw.Draw(mask).text((side // 2, side // 2), text.text, fill=255, font=font, anchor=text.anchor)
        mask = mask.rotate(text.angle, resample=Image.Resampling.BICUBIC)
        self.image.paste(text.colour, (self._pixels(text.x) - side // 2, self._pixels(text.y) - side // 2), mask)

    def _raster(self, raster: Raster) -> None:
        from PIL import Image

        # From edge to edge in whole pixels, so that neighbours leave no seam.
        x, y = self._pixels(raster.x), self._pixels(raster.y)
        size = (self._pixels(raster.x + raster.width) - x, self._pixels(raster.y + raster.height) - y)
        way = Image.Resampling.NEAREST if raster.cells else Image.Resampling.BICUBIC
        self.image.paste(_rgb(raster.picture).resize((max(size[0], 1), max(size[1], 1)), way), (x, y))

    def _flat(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x * self._scale, y * self._scale) for x, y in points]

    def _pixels(self, units: float) -> int:
        return round(units * self._scale)


def _rgb(picture: Image) -> Image:
    return picture if picture.mode == "RGB" else picture.convert("RGB")
