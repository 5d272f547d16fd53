"""A picture under attention, so that it shows on dark objects and on bright ones.

Where nothing is looked at a veil of grey takes colour and contrast away: black becomes lighter there, white darker.
Where most is looked at the picture is as it was, under a glow of orange as strong as the share; a line with a dark and
a bright side runs around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attnkit.explain.weights import Weights

if TYPE_CHECKING:
    from PIL.Image import Image

GLOW = (255, 120, 0)
_VEIL, _KEPT = 148.0, 0.30  # the grey that it goes towards, and what it leaves of the contrast
_GLOW_SHARE = 0.6  # of orange, under the largest share of the scale
_HALF = 0.5  # of its own largest share: where the line runs
_ONE = 0.995  # of all, in one region: that region alone was looked at

Pixels = npt.NDArray[np.float32]


def the_one(weights: Weights) -> tuple[int, int] | None:
    """(row, column) of the region that has all the weight [rows, columns], as with hard attention; None otherwise."""
    total, largest = float(weights.sum()), float(weights.max(initial=0.0))
    if total <= 0.0 or largest < _ONE * total:
        return None
    row, column = np.unravel_index(int(weights.argmax()), weights.shape)
    return int(row), int(column)


def under_attention(image: Image, weights: Weights, top: float) -> Image:
    """The picture, [height, width], under weights [rows, columns] over it; `top` is the share that glows most.

    Between the middles of the regions it changes smoothly; where one region has all the weight it ends at its edges.
    """
    from PIL import Image as images

    pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
    share = _spread(weights, image.size)
    largest = float(share.max(initial=0.0))
    seen = (share / largest if largest > 0 else share)[:, :, None]
    grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    veiled = np.clip(_VEIL + (grey - 127.5) * _KEPT, 0.0, 255.0)[:, :, None]
    glow = _GLOW_SHARE * np.clip(share / top, 0.0, 1.0)[:, :, None]
    if the_one(weights) is not None:
        glow = np.zeros_like(glow)  # its frame says it
    shown = veiled + (pixels - veiled) * seen
    shown += (np.array(GLOW, dtype=np.float32) - shown) * glow
    if largest > 0 and the_one(weights) is None:
        _draw_line(shown, seen[:, :, 0] >= _HALF)
    return images.fromarray(np.rint(shown).astype(np.uint8))


def _spread(weights: Weights, size: tuple[int, int]) -> Pixels:
    """Weights over all pixels of a picture of that size, [height, width]."""
    from PIL import Image

    way = Image.Resampling.BILINEAR if the_one(weights) is None else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(np.asarray(weights, np.float32)).resize(size, way), dtype=np.float32)


def _draw_line(pixels: Pixels, inside: npt.NDArray[np.bool_]) -> None:
    """White along the inner edge of a region and dark along its outer one; the frame of the picture is no edge."""
    width = max(2, round(pixels.shape[1] / 110))
    inner = inside & ~_shrunk(inside, width)
    outer = ~inside & ~_shrunk(~inside, width)
    pixels[outer] = (40, 30, 25)
    pixels[inner] = (255, 255, 255)


def _shrunk(mask: npt.NDArray[np.bool_], by: int) -> npt.NDArray[np.bool_]:
    """Without what lies within `by` pixels of what is not in it."""
    for _ in range(by):
        padded = np.pad(mask, 1, mode="edge")
        mask = mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask


def glow(strength: float) -> tuple[int, int, int]:
    """The colour of the glow over white, for a legend."""
    red, green, blue = (round(255 + (part - 255) * _GLOW_SHARE * strength) for part in GLOW)
    return red, green, blue
