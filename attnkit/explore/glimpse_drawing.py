"""An image with the path of the glimpses over it, and beside it what each of them saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from attnkit.explain.drawing.canvas import QUIET, TEXT, WHITE, Canvas
from attnkit.explain.drawing.chart import ORANGE
from attnkit.explain.drawing.colours import Colour

_LEFT, _GAP = 36.0, 10.0
_RIGHT_INK: Colour = (20, 130, 100)
_WRONG_INK: Colour = (190, 40, 40)


@dataclass(frozen=True)
class Seen:
    """One image [H, W] with its label, the places of its glimpses [T, 2], the log-probabilities behind each
    [T, classes], and their crops [T, scales, size, size, 1], as grey as the image."""

    pixels: np.ndarray
    label: int
    places: np.ndarray
    log_probs: np.ndarray
    crops: np.ndarray

    @property
    def answers(self) -> np.ndarray:
        """The likeliest class behind each glimpse."""
        return np.asarray(self.log_probs.argmax(axis=1))


def retina(crops: np.ndarray) -> np.ndarray:
    """The crops [scales, size, size, 1] of one glimpse laid over one another, each as large as what it shows: sharp in
    the middle, [side, side]."""
    scales, size = crops.shape[:2]
    side = size << (scales - 1)
    whole = np.zeros((side, side))
    for scale in reversed(range(scales)):
        block = 1 << scale
        first = (side - size * block) // 2
        whole[first : first + size * block, first : first + size * block] = np.kron(
            crops[scale, :, :, 0], np.ones((block, block))
        )
    return whole


def tile_side(height: float) -> float:
    """The side of the pictures in a row of this height."""
    return height - 20.0


def draw_legend(canvas: Canvas, top: float, glimpses: int) -> None:
    """What the columns are."""
    canvas.text(_LEFT, top + 8, "path of the glimpses", 13, QUIET)
    canvas.text(
        _LEFT + 176, top + 8, f"what glimpses 1 to {glimpses} saw, and the answer by then (probability)", 13, QUIET
    )


def draw_row(canvas: Canvas, top: float, height: float, seen: Seen) -> None:
    """The image with numbered places and the frame of each sharp crop; then what each glimpse saw, with the answer."""
    side = tile_side(height)
    _picture(canvas, _LEFT, top, side, seen.pixels)
    unit = side / len(seen.pixels)
    half = seen.crops.shape[2] * unit / 2
    middles = [(_LEFT + (x + 1) / 2 * side, top + (y + 1) / 2 * side) for y, x in seen.places]
    if len(middles) > 1:
        canvas.line(middles, ORANGE, 1.5)
    for x, y in middles:
        corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
        inside = [(min(max(a, _LEFT), _LEFT + side), min(max(b, top), top + side)) for a, b in corners]
        canvas.line([*inside, inside[0]], ORANGE, 1)
    for number, (x, y) in enumerate(middles, 1):  # at a corner of its frame, where it hides little
        canvas.dot(x, y, 2, ORANGE)
        left, upper = max(x - half, _LEFT), max(y - half, top)
        canvas.dot(left, upper, 6, ORANGE)
        canvas.text(left, upper, str(number), 9, WHITE, anchor="mm")
    canvas.text(_LEFT + side / 2, top + side + 10, f"a {seen.label}", 13, TEXT, anchor="mm")
    for number, crops in enumerate(seen.crops):
        left = _LEFT + 176 + number * (side + _GAP)
        _picture(canvas, left, top, side, retina(crops))
        answer, share = int(seen.answers[number]), float(np.exp(seen.log_probs[number].max()))
        ink = _RIGHT_INK if answer == seen.label else _WRONG_INK
        canvas.text(left + side / 2, top + side + 10, f"{number + 1}: {answer} ({share:.2f})", 13, ink, anchor="mm")


def _picture(canvas: Canvas, left: float, top: float, side: float, pixels: np.ndarray) -> None:
    """Grey pixels as squares with sharp edges."""
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    large = image.resize((image.width * 16, image.height * 16), Image.Resampling.NEAREST)
    canvas.picture(left, top, side, side, large)
