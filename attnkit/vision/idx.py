"""IDX files, the format of MNIST and its relatives (LeCun, Cortes and Burges), packed by gzip or not."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from attnkit.vision.data import ImageData, PixelArray

_BYTES = 0x08  # the code of unsigned bytes, the only type that pictures and labels come in

MAX_BYTES = 1 << 30
"""Of an array: 1 GiB, twice the largest relative of MNIST. A few megabytes, packed, can hold any number of zeros."""

_PIECE = 1 << 20


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes. A file that is not there is looked for with ".gz" behind its name.

    Raises OSError where there is no file, ValueError, naming it, for one of another format, type, number of dimensions
    or size than its header says.
    """
    if not path.exists() and (packed := path.with_name(path.name + ".gz")).exists():
        path = packed
    with open(path, "rb") as raw:
        is_packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        try:
            return _read(cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if is_packed else raw, path, dimensions)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"[idx] {path}: expected a whole gzip file, got a broken one ({error})") from None


def _read(file: BinaryIO, path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise ValueError(f"[idx] {path}: expected an IDX file, got something else")
    if magic[2] != _BYTES or magic[3] != dimensions:
        raise ValueError(
            f"[idx] {path}: expected {dimensions}-dimensional unsigned bytes, got {magic[3]} dimension(s) of type "
            f"0x{magic[2]:02x}"
        )
    sizes = file.read(4 * dimensions)
    shape = tuple(np.frombuffer(sizes, ">u4").tolist()) if len(sizes) == 4 * dimensions else (0,)
    count = math.prod(shape)
    if count == 0 or count > MAX_BYTES:
        raise ValueError(f"[idx] {path}: expected between 1 and {MAX_BYTES:,} bytes, got the shape {list(shape)}")
    # As it comes, and no more than is there: the memory is that of the file, whatever its header says.
    data = bytearray()
    while len(data) <= count and (piece := file.read(min(_PIECE, count + 1 - len(data)))):
        data += piece
    if len(data) != count:
        got = "more" if len(data) > count else f"{len(data):,}"
        raise ValueError(f"[idx] {path}: expected {count:,} bytes behind the header, got {got}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def read_idx_pair(images: Path, labels: Path, classes: Sequence[str] = ()) -> ImageData:
    """Images [N, H, W] and their labels [N], which become those of `classes`, or their numbers as text.

    Raises as `read_idx` does, and for a label without a class.
    """
    pixels, numbers = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(numbers):
        raise ValueError(f"[idx] {labels}: expected {len(pixels):,} labels, one an image, got {len(numbers):,}")
    names = list(classes) or [str(number) for number in range(256)]
    if int(numbers.max()) >= len(names):
        raise ValueError(f"[idx] {labels}: expected labels under {len(names)}, got {int(numbers.max())}")
    return ImageData(PixelArray(pixels), labels=[names[number] for number in numbers.tolist()])
