"""Attention to images as JSON, for other programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np

from ..files import atomic_write
from .image_map import ImageMap

FORMAT = "attnkit.image-attention"
VERSION = 1


def write_images_json(path: str | os.PathLike[str], images: Sequence[ImageMap]) -> None:
    """Writes `{"format", "version", "images": [{"title", "caption", "tokens", "weights"}, ...]}`.

    `weights` is [token][row][column] over the square that the model saw, rounded to seven decimals. Errors: OSError.
    """
    document = {"format": FORMAT, "version": VERSION, "images": [_plain(image) for image in images]}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    with atomic_write(path) as file:
        # A lone surrogate, which UTF-8 cannot hold, becomes \udcXX: exactly JSON's own escape for it.
        file.write(text.encode("utf-8", "backslashreplace"))


def _plain(image: ImageMap) -> dict[str, object]:
    return {
        "title": image.title,
        "caption": image.caption,
        "tokens": list(image.tokens),
        "weights": np.round(image.weights.astype(np.float64), 7).tolist(),
    }
