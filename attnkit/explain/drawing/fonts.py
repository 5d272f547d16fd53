"""A font for every script, and how wide a text is in it.

Pillow's bundled font has no accented letters, and a fresh machine may have no font at all, so DejaVu Sans (Latin,
Greek, Cyrillic, Hebrew, Arabic) comes with the package; for what it lacks a font of the system is used.
"""

from __future__ import annotations

import functools
import io
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SCALE = 2  # device pixels for each unit of a drawing

_OWN_FONT = "DejaVuSans.ttf"
# Fonts that systems keep for the scripts DejaVu Sans lacks; Pillow knows each system's font folders.
_SYSTEM_FONTS = (
    "NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "NotoSansSC-Regular.otf", "wqy-zenhei.ttc",
    "wqy-microhei.ttc", "DroidSansFallbackFull.ttf", "NotoSans-Regular.ttf", "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf", "unifont.ttf", "msyh.ttc", "msgothic.ttc", "malgun.ttf", "segoeui.ttf", "Nirmala.ttf",
    "Arial Unicode.ttf", "PingFang.ttc",
)  # fmt: skip


def text_width(text: str, size: float) -> float:
    """The width of `text` in units, as `Canvas.text` draws it."""
    return font_for(text, round(size * SCALE)).getlength(text) / SCALE


def shorten(text: str, size: float, width: float) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` units."""
    if text_width(text, size) <= width:
        return text
    return text[: _fitting(text, size, width, "…")] + "…"


def wrapped(text: str, size: float, width: float, most: int) -> list[str]:
    """`text` in at most `most` lines of at most `width` units, broken at spaces where there are some."""
    lines: list[str] = []
    rest = text.strip()
    while rest and len(lines) < most - 1 and text_width(rest, size) > width:
        end = max(_fitting(rest, size, width), 1)
        space = rest.rfind(" ", 0, end + 1)
        end = space if space > 0 else end
        lines.append(rest[:end].rstrip())
        rest = rest[end:].lstrip()
    return [*lines, shorten(rest, size, width)] if rest else lines


def font_for(text: str, pixels: int) -> FreeTypeFont:
    """The first font that has every character of `text`; failing that, the one that has most of them."""
    names: tuple[str, ...] = (_OWN_FONT,)
    if _missing(text, _OWN_FONT):
        names = (_OWN_FONT, *_installed_fonts())
    return _font(min(names, key=lambda name: _missing(text, name)), pixels)


def has_glyph(name: str, character: str) -> bool:
    """False where the font would draw its box for an unknown character."""
    return character.isspace() or _shape(name, character) != _shape(name, "\uffff")


def _fitting(text: str, size: float, width: float, end: str = "") -> int:
    """How many characters of the beginning fit, with `end` after them."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle] + end, size) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _missing(text: str, name: str) -> int:
    return sum(not has_glyph(name, character) for character in text)


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
def _shape(name: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = _font(name, 16).getmask(character)
    return mask.size, bytes(mask)
