"""Reading images: what Pillow opens becomes an upright RGB or grey picture, what cannot be one becomes one clear error.

Pictures are `PIL.Image.Image` of mode "RGB" or "L" everywhere in attnkit, until `Preprocessing` makes arrays of them.
"""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile


MAX_PIXELS = 1 << 27
"""A file that unpacks to more is refused before it is unpacked: a few kilobytes can hold gigabytes of one colour."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"})
"""What counts as an image where a folder is searched."""

# Pillow knows more, among them formats that start other programs (EPS runs Ghostscript).
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")

# EXIF's orientation (the tag 274), and the name of the transposition that undoes it.
_ORIENTATION = 274
_UPRIGHT = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
            6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip


def read_image(path: str | os.PathLike[str], channels: int = 3, at_least: int = 0) -> Image.Image:
    """The picture in a file, upright, as RGB (`channels` 3) or grey (1).

    Grey, palette and CMYK files are converted, 16 bits become 8, transparent pixels lie on white, and the orientation
    that a camera noted is applied. `at_least`: a JPEG may be unpacked at half, a quarter or an eighth of its size as
    long as both sides keep that many pixels, which takes a fraction of the time.

    Raises OSError where the file cannot be read, and ValueError, `[image] NAME: expected ..., got ...`, for one that is
    empty, broken or no image, has several frames, or more than `MAX_PIXELS` pixels.
    """
    path = Path(path)
    if path.stat().st_size == 0:
        raise ValueError(f"[image] {path}: expected an image, got an empty file")
    with open(path, "rb") as file:
        opened = _open(file, path)
        try:
            _check(opened, path)
            if at_least:
                opened.draft("RGB", (at_least, at_least))
            opened.load()
            return _upright(in_mode(opened, "RGB" if channels == 3 else "L"), opened)
        except _ImageError:
            raise
        except Exception as error:  # decoders let all kinds of exceptions through
            raise ValueError(f"[image] {path}: expected a whole image, got a broken one ({_reason(error)})") from None


def to_image(array: npt.ArrayLike, channels: int = 3) -> Image.Image:
    """A picture of an array: uint8 [H, W], [H, W, 1] or [H, W, 3]. Raises ValueError for any other."""
    from PIL import Image

    pixels = np.asarray(array)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,)):
        got = f"{pixels.dtype} {list(pixels.shape)}"
        raise ValueError(f"[image] expected uint8 of shape [H, W], [H, W, 1] or [H, W, 3], got {got}")
    if 0 in pixels.shape:
        raise ValueError(f"[image] expected at least one pixel, got {list(pixels.shape)}")
    flat = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    picture, mode = Image.fromarray(np.ascontiguousarray(flat)), "RGB" if channels == 3 else "L"
    return picture if picture.mode == mode else picture.convert(mode)


class _ImageError(ValueError):
    """A message that is complete."""


def _open(file: object, path: Path) -> ImageFile:
    from PIL import Image, UnidentifiedImageError

    try:
        with _quiet():
            return Image.open(file, formats=_formats())  # type: ignore[arg-type]
    except UnidentifiedImageError:
        raise ValueError(f"[image] {path}: expected an image, got something else") from None
    except Image.DecompressionBombError:
        raise ValueError(f"[image] {path}: expected at most {MAX_PIXELS:,} pixels, got many more") from None
    except Exception as error:  # as above
        raise ValueError(f"[image] {path}: expected an image, got a broken one ({_reason(error)})") from None


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of `_FORMATS` that this Pillow was built with."""
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


_WARNINGS = threading.Lock()  # what catch_warnings changes belongs to the whole process


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of large files and damaged notes; the first is an error here, the second no harm."""
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check(image: ImageFile, path: Path) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _ImageError(f"[image] {path}: expected at most {MAX_PIXELS:,} pixels, got {width:,} × {height:,}")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a phone's JPEG, whose further pictures belong to the first
        raise _ImageError(f"[image] {path}: expected one picture, got {frames} frames")
    if image.mode == "F":
        raise _ImageError(f"[image] {path}: expected 8 or 16 bits a pixel, got floating-point numbers")


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits, in one of Pillow's several modes for them
        deep = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
        return Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert(mode)
    return image.convert(mode)


def _upright(picture: Image.Image, opened: ImageFile) -> Image.Image:
    from PIL import Image

    try:
        with _quiet():
            orientation = opened.getexif().get(_ORIENTATION)
    except Exception:  # damaged notes beside a good picture
        return picture
    name = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return picture if name is None else picture.transpose(Image.Transpose[name])


def _reason(error: Exception) -> str:
    """The decoder's words, without the address of the file object that some of them quote."""
    text = str(error).partition(" <")[0].strip()
    return text or type(error).__name__
