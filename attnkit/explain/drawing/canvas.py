"""A Pillow picture at twice the resolution, with text that finds a font for every script.

Pillow's bundled font has no accented letters, and a fresh machine may have no font at all, so DejaVu Sans (Latin,
Greek, Cyrillic, Hebrew, Arabic) comes with the package; for what it lacks a font of the system is used.
"""

from __future__ import annotations

import functools
import io
import os
from importlib import resources
from typing import TYPE_CHECKING

from attnkit.explain.drawing.colours import Colour
from attnkit.files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

SCALE = 2  # device pixels for each unit of the drawing
TEXT: Colour = (27, 35, 48)
QUIET: Colour = (93, 104, 121)
LINE: Colour = (225, 229, 235)
WHITE: Colour = (255, 255, 255)

_OWN_FONT = "DejaVuSans.ttf"
# Fonts that systems keep for the scripts DejaVu Sans lacks; Pillow knows each system's font folders.
_SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf", "wqy-zenhei.ttc",
    "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "NotoSans-Regular.ttf", "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf", "unifont.ttf", "msyh.ttc", "msgothic.ttc", "malgun.ttf", "segoeui.ttf", "Nirmala.ttf",
    "Arial Unicode.ttf", "PingFang.ttc",
)  # fmt: skip


class Canvas:
    """A white picture of width × height units. Every length below is in units; the file has SCALE pixels for each.

    Pillow smooths text but neither lines nor corners: `smooth` draws everything that many times larger, and saving
    brings it back to size.
    """

    def __init__(self, width: float, height: float, smooth: int = 1) -> None:
        from PIL import Image, ImageDraw  # a heavy import, only for those who draw

        self._smooth = smooth
        size = (round(width * SCALE) * smooth, round(height * SCALE) * smooth)
        self._image = Image.new("RGB", size, WHITE)
        self._draw = ImageDraw.Draw(self._image)

    def rectangle(self, x: float, y: float, width: float, height: float, fill: Colour, radius: float = 0.0) -> None:
        corners = (self._pixels(x), self._pixels(y), self._pixels(x + width) - 1, self._pixels(y + height) - 1)
        self._draw.rounded_rectangle(corners, radius=self._pixels(radius), fill=fill)

    def line(self, points: list[tuple[float, float]], colour: Colour, width: float = 1.0) -> None:
        flat = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.line(flat, fill=colour, width=max(1, self._pixels(width)), joint="curve")

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        self._draw.circle((x * self._scale, y * self._scale), radius * self._scale, fill=colour)

    def text(self, x: float, y: float, text: str, size: float, colour: Colour = TEXT, anchor: str = "lm") -> None:
        """`anchor` as in Pillow: l, m or r across, then a (top), m (middle) or s (base line)."""
        font = _font_for(text, self._pixels(size))
        self._draw.text((x * self._scale, y * self._scale), text, fill=colour, font=font, anchor=anchor)

    def slanted_text(self, x: float, y: float, text: str, size: float, colour: Colour = TEXT) -> None:
        """Text that starts at (x, y), the middle of its left edge, and rises to the right at 45°."""
        from PIL import Image, ImageDraw

        font = _font_for(text, self._pixels(size))
        side = 2 * (round(font.getlength(text)) + 2 * self._pixels(size))
        mask = Image.new("L", (side, side))  # the text starts at its centre, so the turn keeps that point in place
        ImageDraw.Draw(mask).text((side // 2, side // 2), text, fill=255, font=font, anchor="lm")
        mask = mask.rotate(45, resample=Image.Resampling.BICUBIC)
        self._image.paste(colour, (self._pixels(x) - side // 2, self._pixels(y) - side // 2), mask)

    def picture(self, x: float, y: float, width: float, height: float, picture: Image) -> None:
        """Another picture, stretched to this size."""
        size = (self._pixels(width), self._pixels(height))
        self._image.paste(picture.convert("RGB").resize(size), (self._pixels(x), self._pixels(y)))

    def save(self, path: str | os.PathLike[str]) -> None:
        with atomic_write(path) as file:
            image = self._image.reduce(self._smooth) if self._smooth > 1 else self._image
            image.save(file, format="PNG", optimize=True)

    @property
    def _scale(self) -> int:
        return SCALE * self._smooth

    def _pixels(self, units: float) -> int:
        return round(units * self._scale)


def text_width(text: str, size: float) -> float:
    """The width of `text` in units, as `Canvas.text` draws it."""
    return _font_for(text, round(size * SCALE)).getlength(text) / SCALE


def shorten(text: str, size: float, width: float) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` units."""
    if text_width(text, size) <= width:
        return text
    low, high = 0, len(text)  # the longest beginning that fits
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle] + "…", size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low] + "…"


def _font_for(text: str, pixels: int) -> FreeTypeFont:
    """The first font that has every character of `text`; failing that, the one that has most of them."""
    names: tuple[str, ...] = (_OWN_FONT,)
    if _missing(text, _OWN_FONT):
        names = (_OWN_FONT, *_installed_fonts())
    return _font(min(names, key=lambda name: _missing(text, name)), pixels)


def _missing(text: str, name: str) -> int:
    return sum(not _has_glyph(name, character) for character in text)


@functools.cache
def _font(name: str, pixels: int) -> FreeTypeFont:
    from PIL import ImageFont

    if name != _OWN_FONT:
        return ImageFont.truetype(name, pixels)
    return ImageFont.truetype(io.BytesIO(_own_font()), pixels)


@functools.cache
def _own_font() -> bytes:
    return (resources.files("attnkit.explain") / "fonts" / _OWN_FONT).read_bytes()


@functools.cache
def _installed_fonts() -> tuple[str, ...]:
    """Searched once, and only when a text needs more than the package's own font."""
    found = []
    for name in _SYSTEM_FONTS:
        try:
            _font(name, 16)
        except OSError:
            continue
        found.append(name)
    return tuple(found)


@functools.lru_cache(maxsize=4096)
def _has_glyph(name: str, character: str) -> bool:
    """False where the font would draw its box for an unknown character."""
    return character.isspace() or _shape(name, character) != _shape(name, "\uffff")


@functools.lru_cache(maxsize=4096)
def _shape(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(name, 16).getmask(character)
    return mask.size, bytes(mask)
