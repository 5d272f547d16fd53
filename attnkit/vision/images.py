"""Reading images: what Pillow opens becomes an upright RGB or grey picture, what cannot be one becomes one clear error.

Pictures are `PIL.Image.Image` of mode "RGB" or "L" everywhere in attnkit, until `Preprocessing` makes arrays of them.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from attnkit.process_lock import ProcessLock
from attnkit.reading import open_regular

ImageLike: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[np.uint8]"
"""A file's name, its bytes, a stream of them, a Pillow image, or an array: uint8 [H, W], [H, W, 1] or [H, W, 3]."""

MAX_PIXELS = 1 << 27
"""A picture of more is refused before it is unpacked: a few kilobytes can hold gigabytes of one colour."""

MAX_SIDE = 1 << 20
"""So is one with a longer side: Pillow needs more memory for a row than for its one pixel."""

MAX_BYTES = 1 << 29
"""So is a file or a stream of more bytes, packed as they come."""

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"})
"""What counts as an image where a folder is searched."""

# Pillow knows more, among them formats that start other programs (EPS runs Ghostscript).
_WANTED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
# Its readers are imported with this module, and not by the thread that first needs one: a fork beside an import hangs.
Image.init()
_FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)

# EXIF's orientation (the tag 274), and the name of the transposition that undoes it.
_ORIENTATION = 274
_UPRIGHT = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE",
            6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip

_STRIP = 1 << 22  # pixels that change their mode at once: what lies between takes several times their memory
_PIECE = 1 << 20  # bytes of a stream


def read_image(path: ImageLike, channels: int = 3, at_least: int = 0) -> Image.Image:
    """The picture in a file, upright, as RGB (`channels` 3) or grey (1). `path` is a file's name, or an image in any of
    the other forms of `ImageLike`; the same rules hold for all of them.

    Grey, palette and CMYK pictures are converted, 16 bits become 8, transparent pixels lie on white, and the
    orientation that a camera noted is applied. `at_least`: a JPEG may be unpacked at half, a quarter or an eighth of
    its size as long as both sides keep that many pixels, which takes a fraction of the time.

    Raises OSError where the file cannot be read, TypeError for what is no image in any form, and ValueError, `[image]
    NAME: expected ..., got ...`, for one that is empty, broken or no image, has several frames or numbers that are no
    pixels, more than `MAX_PIXELS` pixels, a side of more than `MAX_SIDE`, or more
    than `MAX_BYTES` bytes.
    """
    if isinstance(path, Image.Image):
        return _converted(path, f"[image] {getattr(path, 'filename', '') or 'a Pillow image'}", channels)
    if isinstance(path, str | os.PathLike):
        with _opened_file(path) as file:
            return _decoded(file, f"[image] {os.fspath(path)}", channels, at_least)
    if isinstance(path, bytes | bytearray | memoryview):
        _check_bytes(memoryview(path).nbytes, "[image] bytes")
        return _decoded(io.BytesIO(path), "[image] bytes", channels, at_least)
    if callable(getattr(path, "read", None)):
        name = getattr(path, "name", None)
        where = f"[image] {name if isinstance(name, str) else 'a stream'}"
        return _decoded(_read_stream(path, where), where, channels, at_least)
    return to_image(cast(npt.ArrayLike, path), channels)


def to_image(array: npt.ArrayLike, channels: int = 3) -> Image.Image:
    """A picture of an array: uint8 [H, W], [H, W, 1] or [H, W, 3]. Raises ValueError for any other, TypeError for what
    is no array."""
    pixels = np.asarray(array)
    if pixels.dtype == object:
        raise TypeError(
            "[image] expected a file's name, its bytes, a stream of them, a Pillow image or an array of uint8, got "
            f"{type(array).__name__}"
        )
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (1,), (3,)):
        got = f"{pixels.dtype} {list(pixels.shape)}"
        raise ValueError(f"[image] expected uint8 of shape [H, W], [H, W, 1] or [H, W, 3], got {got}")
    if 0 in pixels.shape:
        raise ValueError(f"[image] expected at least one pixel, got {list(pixels.shape)}")
    flat = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    _check_size(flat.shape[1], flat.shape[0], "[image] an array")
    picture, mode = Image.fromarray(np.ascontiguousarray(flat)), _mode(channels)
    return picture if picture.mode == mode else picture.convert(mode)


# ----- Bytes, from a file or from elsewhere


@contextmanager
def _opened_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    with open_regular(path) as file:
        _check_bytes(os.fstat(file.fileno()).st_size, f"[image] {os.fspath(path)}")
        yield file


def _read_stream(stream: Any, where: str) -> BinaryIO:
    """What a stream still has: Pillow goes to and fro in it, and not every stream can."""
    held = io.BytesIO()
    while piece := stream.read(_PIECE):
        if not isinstance(piece, bytes):
            raise TypeError(f"{where}: expected a stream of bytes (open it in mode 'rb'), got {type(piece).__name__}")
        held.write(piece)
        _check_bytes(held.tell(), where)
    _check_bytes(held.tell(), where)
    held.seek(0)
    return held


def _check_bytes(size: int, where: str) -> None:
    if size == 0:
        raise ValueError(f"{where}: expected an image, got an empty file")
    if size > MAX_BYTES:
        raise ValueError(f"{where}: expected at most {MAX_BYTES:,} bytes, got more")


def _decoded(file: BinaryIO, where: str, channels: int, at_least: int) -> Image.Image:
    opened = _open(file, where)
    with opened:
        return _converted(opened, where, channels, at_least)


def _open(file: BinaryIO, where: str) -> ImageFile:
    try:
        with _quiet():
            return Image.open(file, formats=_FORMATS)
    except UnidentifiedImageError:
        raise ValueError(f"{where}: expected an image, got something else") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{where}: expected at most {MAX_PIXELS:,} pixels, got many more") from None
    except Exception as error:  # decoders let all kinds of exceptions through
        raise ValueError(f"{where}: expected an image, got a broken one ({_reason(error)})") from None


# What catch_warnings changes belongs to the whole process.
_quieting = warnings.catch_warnings()
_WARNINGS = ProcessLock(mend=lambda: _quieting.__exit__(None, None, None))


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of large files and damaged notes; the first is an error here, the second no harm."""
    global _quieting
    with _WARNINGS:
        _quieting = warnings.catch_warnings()
        with _quieting:
            warnings.simplefilter("ignore")
            yield


# ----- Pictures, opened here or by the caller


class _ImageError(ValueError):
    """A message that is complete."""


def _converted(image: Image.Image, where: str, channels: int, at_least: int = 0) -> Image.Image:
    """A picture of Pillow's, perhaps not read yet, as all of attnkit knows pictures. `at_least` is for one of our own,
    since it changes the size."""
    try:
        _check(image, where)
        if at_least:
            image.draft("RGB", (at_least, at_least))
        image.load()
        picture = _upright(in_mode(image, _mode(channels)), image)
        picture.info = {}  # what it said of transparency and orientation has been done
        return picture
    except _ImageError:
        raise
    except Exception as error:  # as above
        raise ValueError(f"{where}: expected a whole image, got a broken one ({_reason(error)})") from None


def _check(image: Image.Image, where: str) -> None:
    _check_size(*image.size, where)
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # a phone's JPEG, whose further pictures belong to the first
        raise _ImageError(f"{where}: expected one picture, got {frames} frames")
    if image.mode == "F":
        raise _ImageError(f"{where}: expected 8 or 16 bits a pixel, got floating-point numbers")


def _check_size(width: int, height: int, where: str) -> None:
    if width * height > MAX_PIXELS:
        raise _ImageError(f"{where}: expected at most {MAX_PIXELS:,} pixels, got {width:,} × {height:,}")
    if max(width, height) > MAX_SIDE:
        raise _ImageError(f"{where}: expected sides of at most {MAX_SIDE:,} pixels, got {width:,} × {height:,}")
    if width * height == 0:
        raise _ImageError(f"{where}: expected at least one pixel, got {width:,} × {height:,}")


def _mode(channels: int) -> str:
    return "RGB" if channels == 3 else "L"


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """A new picture in the mode "RGB" or "L"."""
    width, height = image.size
    rows = max(1, _STRIP // width)
    if rows >= height:
        return _strip_in_mode(image, mode)
    picture = Image.new(mode, image.size)
    for top in range(0, height, rows):
        box = (0, top, width, min(top + rows, height))
        picture.paste(_strip_in_mode(image.crop(box), mode), box)
    return picture


def _strip_in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits, in one of Pillow's several modes for them
        deep = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
        return Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8)).convert(mode)
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert(mode)
    return image.convert(mode)


def _upright(picture: Image.Image, source: Image.Image) -> Image.Image:

    try:
        with _quiet():
            orientation = source.getexif().get(_ORIENTATION)
    except Exception:  # damaged notes beside a good picture
        return picture
    name = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return picture if name is None else picture.transpose(Image.Transpose[name])


def _reason(error: Exception) -> str:
    """The decoder's words, without the address of the file object that some of them quote."""
    text = str(error).partition(" <")[0].strip()
    return text or type(error).__name__
