"""Cluttered digits as image data, after the cluttered translated MNIST of Mnih et al. (2014), without its files."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from attnkit.vision.data import ImageData, PixelArray
from attnkit.vision.digits.strokes import PATCH, draw_digits

SIDE = 48
"""Pixels along a side of an image."""

_PIECES, _PIECE = 6, 6  # how many pieces lie in an image, and the side of each
_BLOCK = 500  # images that are drawn at once; a whole block always, so that an image does not depend on how many
_SPLITS = ("train", "validation", "test")


def data(split: str, count: int, seed: int = 1) -> ImageData:
    """The first `count` images of a split, grey [SIDE, SIDE], labelled "0" to "9".

    Image number n depends on nothing else but `seed`. Raises ValueError for a count under 1 or another split.
    """
    pixels, labels, _ = draw(split, count, seed)
    return ImageData(PixelArray(pixels), labels=[str(label) for label in labels])


def draw(
    split: str, count: int, seed: int = 1
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """→ images [count, SIDE, SIDE], the digits [count], and where they are: (row, column) of the upper left pixel of
    the square of PATCH pixels around each, [count, 2]."""
    if count < 1:
        raise ValueError(f"[digits] expected at least 1 image, got {count}")
    if split not in _SPLITS:
        raise ValueError(f"[digits] expected a split among {', '.join(_SPLITS)}, got {split!r}")
    blocks = [_block(split, number, seed) for number in range(-(-count // _BLOCK))]
    pixels, labels, corners = (np.concatenate(parts)[:count] for parts in zip(*blocks, strict=True))
    return pixels, labels, corners


def _block(
    split: str, number: int, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, _SPLITS.index(split), number])))
    labels = random.integers(0, 10, _BLOCK)
    ink = np.zeros((_BLOCK, SIDE, SIDE), np.float32)
    others = draw_digits(random.integers(0, 10, _BLOCK), random)
    inner = PATCH - _PIECE
    for _ in range(_PIECES):
        source = random.integers(0, _BLOCK, _BLOCK)
        within = random.integers(inner // 2 - 3, inner // 2 + 4, (_BLOCK, 2))  # near the middle, where the ink is
        piece = _cut(others[source], within, _PIECE)
        _lay(ink, piece, random.integers(0, SIDE - _PIECE + 1, (_BLOCK, 2)))
    corners = random.integers(0, SIDE - PATCH + 1, (_BLOCK, 2))
    _lay(ink, draw_digits(labels, random), corners)
    return np.rint(ink * 255.0).astype(np.uint8), labels, corners


def _squares(corners: npt.NDArray[np.int64], side: int) -> tuple[npt.NDArray[np.int64], ...]:
    """What indexes a square of each image of a stack."""
    rows, columns = (corners[:, axis, None] + np.arange(side) for axis in (0, 1))
    return np.arange(len(corners))[:, None, None], rows[:, :, None], columns[:, None, :]


def _cut(ink: npt.NDArray[np.float32], corners: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.float32]:
    return np.asarray(ink[_squares(corners, side)])


def _lay(ink: npt.NDArray[np.float32], piece: npt.NDArray[np.float32], corners: npt.NDArray[np.int64]) -> None:
    """Puts a piece into each image, where the darker ink counts."""
    place = _squares(corners, piece.shape[1])
    ink[place] = np.maximum(ink[place], piece)
