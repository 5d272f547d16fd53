"""The built-in images to classify: a small digit somewhere among pieces of other digits."""

from attnkit.vision.digits.dataset import SIDE, data, draw
from attnkit.vision.digits.strokes import PATCH, draw_digits

__all__ = ["PATCH", "SIDE", "data", "draw", "draw_digits"]
