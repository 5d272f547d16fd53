"""Shapes as image data: pictures in memory, captions, and for a classifier the shape of the one thing."""

from __future__ import annotations

import numpy as np

from attnkit.vision.data import ImageData, PixelArray
from attnkit.vision.shapes.drawing import draw
from attnkit.vision.shapes.scene import Scene, Split, sample


def scenes(split: Split, count: int, seed: int = 1) -> list[Scene]:
    """The first `count` scenes of a split. Raises ValueError for a count under 1."""
    if count < 1:
        raise ValueError(f"[shapes] expected at least 1 scene, got {count}")
    return [sample(split, index, seed) for index in range(count)]


def data(split: Split, count: int, seed: int = 1) -> ImageData:
    """Those scenes as pictures [SIDE, SIDE, 3] with their captions."""
    drawn = scenes(split, count, seed)
    captions = [(scene.caption().text,) for scene in drawn]
    return ImageData(PixelArray(np.stack([draw(scene) for scene in drawn])), captions=captions)
