"""Images for the benches, in the size that the model reads: neither files nor resizing are part of what is timed.

What makes numbers of their pixels is: attnkit does it as always, and peers by the same product and sum.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from attnkit.vision.preprocessing import Preprocessing

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
_PIXELS, _NUMBERS = "pictures.npy", "pictures.json"


class Pictures(NamedTuple):
    """pixels: [N, rows, columns, channels]. The numbers that a model reads are pixels · factor + shift, of a number for
    each channel."""

    pixels: Pixels
    factor: Floats
    shift: Floats


def pictures_for(directory: Path, task: str, folder: Path | None, count: int) -> Pictures:
    """Images as the model of a directory sees them, `count` of noise, or the first of a `folder` and those in it, which
    may have fewer. Raises ValueError for a model of another task, a folder without images, and an image that cannot be
    read; OSError."""
    from attnkit.tasks.shared.directory import ModelDirectory

    read = ModelDirectory.read(directory)
    if (read.task, read.reads) != (task, "images"):
        raise ValueError(
            f"[bench] {directory}: expected a model that reads images, of the task {task!r}, got one that reads "
            f"{read.reads}, of the task {read.task!r}"
        )
    preprocessing = read.preprocessing()
    pixels = _noise(count, preprocessing) if folder is None else _pixels_below(folder, count, preprocessing)
    factor, shift = (np.resize(each, preprocessing.channels) for each in preprocessing.factor_and_shift())
    return Pictures(pixels, factor, shift)


def _noise(count: int, preprocessing: Preprocessing, seed: int = 1) -> Pixels:
    rng = np.random.Generator(np.random.Philox(seed))
    return rng.integers(0, 256, (count, *preprocessing.shape, preprocessing.channels), np.uint8)


def _pixels_below(folder: Path, count: int, preprocessing: Preprocessing) -> Pixels:
    from attnkit.vision.folders import images_below

    squares = (preprocessing.fitted(preprocessing.read(path)) for path in islice(images_below(folder), count))
    found = [preprocessing.pixels(square) for square in squares]
    if not found:
        raise ValueError(f"[bench] {folder}: expected a folder with images, got one without")
    return np.stack(found)


def write_pictures(folder: Path, pictures: Pictures) -> None:
    np.save(folder / _PIXELS, pictures.pixels)
    numbers = {"factor": pictures.factor.tolist(), "shift": pictures.shift.tolist()}
    (folder / _NUMBERS).write_text(json.dumps(numbers), encoding="utf-8")


def read_pictures(folder: Path) -> Pictures:
    """For the contestants: what the bench wrote. Pixels are read from the file when they are looked at."""
    said = json.loads((folder / _NUMBERS).read_text(encoding="utf-8"))
    factor, shift = (np.array(said[name], np.float32) for name in ("factor", "shift"))
    return Pictures(np.load(folder / _PIXELS, mmap_mode="r"), factor, shift)


def as_they_are(preprocessing: Preprocessing) -> Preprocessing:
    """For images that have been made as large as the model reads them, and are not to be resized again."""
    import msgspec

    return msgspec.structs.replace(preprocessing, resize=None)
