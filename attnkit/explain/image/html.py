"""Attention to images as one standalone HTML page: no network, no library, usable by mouse and by keyboard.

The page itself lies beside this file (image_page.html, image_page.css, image_page.js); here the data is put in and
everything escaped.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnkit.explain.drawing.pieces import labels
from attnkit.explain.drawing.standalone import standalone_page
from attnkit.explain.image.map import ImageMap
from attnkit.explain.sentence.html import UNITS
from attnkit.files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image


def write_images_html(
    path: str | os.PathLike[str], images: Sequence[ImageMap], *, title: str = "Where the model looks"
) -> None:
    """Writes one page that holds every image with its words; pointing at a word, or moving to it by the keyboard, shows
    the image under its attention. Raises OSError."""
    with atomic_write(path) as file:
        file.write(_page(images, title).encode("utf-8", "replace"))


def _page(images: Sequence[ImageMap], title: str) -> str:
    data = {"units": UNITS, "images": [_plain(image) for image in images]}
    return standalone_page(__package__, title, data=data, images=True)


def _plain(image: ImageMap) -> dict[str, object]:
    units = np.rint(image.weights.astype(np.float64) * UNITS).astype(np.int64)
    return {
        "title": labels([image.title])[0] if image.title else "",
        "caption": labels([image.caption])[0] if image.caption else "",
        "tokens": image.labels,
        "rows": image.grid[0],
        "columns": image.grid[1],
        "weights": units.reshape(len(units), -1).tolist(),  # [token][row · column]
        "source": _data_url(image.image),
    }


def _data_url(image: Image) -> str:
    """PNG where few colours make that small, as for drawings, else JPEG."""
    drawing, photo = io.BytesIO(), io.BytesIO()
    image.save(drawing, format="PNG", optimize=True)
    image.save(photo, format="JPEG", quality=88)
    kind, data = ("png", drawing) if drawing.tell() <= 2 * photo.tell() else ("jpeg", photo)
    return f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"
