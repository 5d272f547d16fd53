"""Digits as strokes: the outline of each is a line through a few points, and no two are written alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

PATCH = 22  # pixels along a side of what a digit is drawn in
_HALF = 8.0  # half the height of a digit, in pixels, before it is made larger or smaller

# (x, y) from the middle, y downwards, in halves of the height.
_LINES: tuple[tuple[tuple[float, float], ...], ...] = (
    ((0, -1), (0.45, -0.7), (0.6, 0), (0.45, 0.7), (0, 1), (-0.45, 0.7), (-0.6, 0), (-0.45, -0.7), (0, -1)),
    ((-0.4, -0.5), (0, -1), (0, 1)),
    ((-0.6, -0.6), (-0.2, -1), (0.4, -0.9), (0.6, -0.45), (0.3, 0), (-0.6, 1), (0.65, 1)),
    ((-0.6, -0.8), (0, -1), (0.5, -0.7), (0.4, -0.2), (-0.1, 0), (0.5, 0.3), (0.5, 0.75), (0, 1), (-0.6, 0.8)),
    ((0.3, 1), (0.3, -1), (-0.65, 0.4), (0.7, 0.4)),
    ((0.6, -1), (-0.5, -1), (-0.5, -0.15), (0.2, -0.2), (0.6, 0.25), (0.5, 0.75), (0, 1), (-0.6, 0.8)),
    ((0.4, -1), (-0.2, -0.6), (-0.6, 0.2), (-0.4, 0.9), (0.1, 1), (0.6, 0.6), (0.4, 0.1), (-0.1, 0), (-0.55, 0.4)),
    ((-0.6, -1), (0.6, -1), (-0.1, 1)),
    ((0, 0), (0.5, -0.45), (0.3, -0.95), (-0.3, -0.95), (-0.5, -0.45), (0, 0), (0.6, 0.45), (0.35, 0.95),
     (-0.35, 0.95), (-0.6, 0.45), (0, 0)),
    ((-0.4, 1), (0.2, 0.6), (0.6, -0.2), (0.4, -0.9), (-0.1, -1), (-0.6, -0.6), (-0.4, -0.1), (0.1, 0), (0.55, -0.4)),
)  # fmt: skip
_POINTS = max(map(len, _LINES))
_TABLE = np.array([[*line, *[line[-1]] * (_POINTS - len(line))] for line in _LINES])  # [10, points, 2]

_ROWS, _COLUMNS = np.mgrid[0:PATCH, 0:PATCH] + 0.5 - PATCH / 2


def draw_digits(digits: npt.NDArray[np.integer], random: np.random.Generator) -> Floats:
    """Each of the digits [N], 0 to 9, as someone may write it: the ink of each pixel from 0 to 1, [N, PATCH, PATCH].

    Its points are a little beside where they should be, it is turned, slanted, larger or smaller, of a thick or a thin
    pen.
    """
    count = len(digits)
    points = _TABLE[digits] + random.normal(0.0, 0.07, (count, _POINTS, 2))
    turn, slant = random.uniform(-0.25, 0.25, count), random.uniform(-0.2, 0.2, count)
    high, wide = random.uniform(0.85, 1.1, (2, count)) * _HALF
    x, y = points[..., 0] * wide[:, None], points[..., 1] * high[:, None]
    x = x - y * slant[:, None]
    cosine, sine = np.cos(turn)[:, None], np.sin(turn)[:, None]
    x, y = cosine * x - sine * y, sine * x + cosine * y
    pen = random.uniform(0.8, 1.4, count)
    return np.clip(0.5 + pen[:, None, None] - _distances(x, y), 0.0, 1.0).astype(np.float32)


def _distances(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far each pixel is from the line through points, x and y [N, points] → [N, PATCH, PATCH]."""
    nearest = np.full((len(x), PATCH, PATCH), np.inf)
    for piece in range(_POINTS - 1):
        x0, y0, x1, y1 = (end[:, piece + late, None, None] for late in (0, 1) for end in (x, y))
        along_x, along_y = x1 - x0, y1 - y0
        length = np.maximum(along_x**2 + along_y**2, 1e-12)
        share = np.clip(((_COLUMNS - x0) * along_x + (_ROWS - y0) * along_y) / length, 0.0, 1.0)
        away = (_COLUMNS - x0 - share * along_x) ** 2 + (_ROWS - y0 - share * along_y) ** 2
        np.minimum(nearest, away, out=nearest)
    return np.asarray(np.sqrt(nearest))
