"""One hue of blue, from paper to ink, in steps that look equally large; for signed numbers also one of red.

The colours are mixed in OKLab (Björn Ottosson, 2020), a space in which equal distances look equal; the HTML page mixes
the same two ends by `color-mix(in oklab, ...)`.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]

PAPER: Colour = (244, 247, 252)
INK: Colour = (18, 62, 148)
RED_INK: Colour = (158, 44, 24)

_RGB_TO_CONE = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_CONE_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def shade(weight: float) -> Colour:
    """The colour of a weight from 0 (paper) to 1 (ink); values outside are clipped."""
    red, green, blue = _ramp()[round(min(max(weight, 0.0), 1.0) * 255)]
    return int(red), int(green), int(blue)


def signed_shade(value: float) -> Colour:
    """The colour of a number from -1 (red) over 0 (paper) to 1 (blue); values outside are clipped."""
    ramp = _ramp(RED_INK if value < 0 else INK)
    red, green, blue = ramp[round(min(abs(value), 1.0) * 255)]
    return int(red), int(green), int(blue)


def is_dark(colour: Colour) -> bool:
    """True where white text reads better than dark text: by relative luminance (WCAG 2)."""
    red, green, blue = _linear(np.array(colour) / 255.0)
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.27)


@functools.cache
def _ramp(end: Colour = INK) -> npt.NDArray[np.uint8]:
    """[256, 3] colours from paper to ink."""
    paper, ink = _to_lab(PAPER), _to_lab(end)
    steps = np.linspace(0.0, 1.0, 256)[:, None]
    cones = np.linalg.solve(_CONE_TO_LAB, (paper + (ink - paper) * steps).T) ** 3
    linear = np.clip(np.linalg.solve(_RGB_TO_CONE, cones).T, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.round(encoded * 255.0), dtype=np.uint8)


def _to_lab(colour: Colour) -> npt.NDArray[np.float64]:
    return np.asarray(_CONE_TO_LAB @ np.cbrt(_RGB_TO_CONE @ _linear(np.array(colour) / 255.0)))


def _linear(encoded: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
