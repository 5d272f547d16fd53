"""Training pictures, never twice the same: crops, shifts, flips and random operations on colours and geometry.

What happens to a picture depends on the random numbers that it is given and on nothing else, so that the workers of
the loader can be many.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from PIL import Image, ImageEnhance, ImageOps
from PIL.Image import Resampling, Transform

from attnkit.vision.images import to_image
from attnkit.vision.preprocessing import Pixels, Preprocessing

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]


class AugmentationConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[augmentation]: what is done to training pictures. By default nothing."""

    crop: Annotated[
        float,
        Meta(
            gt=0.0,
            le=1.0,
            description="Train on random rectangles that have at least this share of the area, stretched to the "
            "square; 1 is no crop.",
        ),
    ] = 1.0

    shift: Annotated[int, Meta(ge=0, description="Move the square by up to this many pixels each way.")] = 0

    flip: Annotated[
        bool, Meta(description="Mirror every other picture. Not for captions that say left and right, nor for letters.")
    ] = False

    operations: Annotated[
        int,
        Meta(
            ge=0,
            le=100,
            description="Random operations for each picture, as in RandAugment (Cubuk et al., 2020): 2 is usual, 0 "
            "for none.",
        ),
    ] = 0

    magnitude: Annotated[int, Meta(ge=0, le=10, description="How strong the operations are, up to 10.")] = 5

    erase: Annotated[Probability, Meta(description="How often a random rectangle is blanked (Zhong et al., 2020).")] = (
        0.0
    )

    mixup: Annotated[
        float,
        Meta(
            ge=0.0,
            description="Classification: blend pairs of images and labels by a share drawn from Beta(mixup, mixup) "
            "(Zhang et al., 2018); 0 for none.",
        ),
    ] = 0.0


class Augmenter:
    """Applies a configuration to pictures."""

    def __init__(self, config: AugmentationConfig, preprocessing: Preprocessing) -> None:
        self._config, self._preprocessing = config, preprocessing
        middle = round(255 * sum(preprocessing.mean) / len(preprocessing.mean))
        self._blank = min(max(middle, 0), 255)  # becomes about zero in the model's input

    def __call__(self, picture: Image.Image, draw: random.Random) -> Pixels:
        """The square to train on, uint8 [rows, columns, channels]."""
        config, prepare = self._config, self._preprocessing
        pixels = prepare.pixels(self._cropped(picture, draw) if config.crop < 1.0 else prepare.fitted(picture))
        if config.shift:
            across, down = (draw.randint(-config.shift, config.shift) for _ in range(2))
            pixels = self._shifted(pixels, across, down)
        if config.flip and draw.random() < 0.5:
            pixels = pixels[:, ::-1]
        if config.operations:
            pixels = self._operated(pixels, draw)
        if config.erase and draw.random() < config.erase:
            pixels = self._erased(pixels, draw)
        return pixels

    def _cropped(self, picture: Image.Image, draw: random.Random) -> Image.Image:
        """A rectangle with sides in a proportion from 3 : 4 to 4 : 3 (Szegedy et al., 2015)."""
        width, height = picture.size
        area = width * height * draw.uniform(self._config.crop, 1.0)
        proportion = math.exp(draw.uniform(-math.log(4 / 3), math.log(4 / 3)))
        wide, high = min(width, math.sqrt(area * proportion)), min(height, math.sqrt(area / proportion))
        left, top = draw.uniform(0, width - wide), draw.uniform(0, height - high)
        return self._preprocessing.resized(picture, (left, top, left + wide, top + high))

    def _shifted(self, pixels: Pixels, across: int, down: int) -> Pixels:
        """Each pixel (x, y) from (x + across, y + down); what lies outside is blank."""
        shifted = np.full_like(pixels, self._blank)
        height, width = pixels.shape[:2]
        (rows, from_rows), (columns, from_columns) = _overlap(height, down), _overlap(width, across)
        shifted[rows, columns] = pixels[from_rows, from_columns]
        return shifted

    def _operated(self, pixels: Pixels, draw: random.Random) -> Pixels:
        square = to_image(pixels, self._preprocessing.channels)
        for _ in range(self._config.operations):
            name = draw.choice(tuple(_OPERATIONS))
            square = _OPERATIONS[name](self, square, draw.choice((-1, 1)) * self._config.magnitude / 10)
        return self._preprocessing.pixels(square)

    def moved(self, square: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
        """Each pixel (x, y) from (a x + b y + c, d x + e y + f); what lies outside is blank."""
        blank = self._blank if square.mode == "L" else (self._blank,) * 3
        return square.transform(square.size, Transform.AFFINE, matrix, Resampling.BILINEAR, fillcolor=blank)

    def _erased(self, pixels: Pixels, draw: random.Random) -> Pixels:
        height, width = pixels.shape[:2]
        wide, high = (max(1, round(side * draw.uniform(0.15, 0.45))) for side in (width, height))
        left, top = draw.randint(0, width - wide), draw.randint(0, height - high)
        erased = pixels.copy()
        erased[top : top + high, left : left + wide] = self._blank
        return erased


def _overlap(size: int, shift: int) -> tuple[slice, slice]:
    """Of a side that is shifted: which of its pixels come from inside, and where from."""
    return slice(max(0, -shift), max(0, size - shift)), slice(max(0, shift), max(0, size + shift))


# ----- RandAugment's operations: strength from -1 to 1, of which some take the size alone


def _rotate(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    angle, middle = math.radians(30 * strength), square.width / 2
    cos, sin = math.cos(angle), math.sin(angle)
    return augmenter.moved(
        square, (cos, sin, middle - cos * middle - sin * middle, -sin, cos, middle + sin * middle - cos * middle)
    )


def _shear_across(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    return augmenter.moved(square, (1, 0.3 * strength, -0.15 * strength * square.width, 0, 1, 0))


def _shear_down(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    return augmenter.moved(square, (1, 0, 0, 0.3 * strength, 1, -0.15 * strength * square.width))


def _move_across(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    return augmenter.moved(square, (1, 0, 0.3 * strength * square.width, 0, 1, 0))


def _move_down(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    return augmenter.moved(square, (1, 0, 0, 0, 1, 0.3 * strength * square.width))


def _enhance(kind: str) -> Callable[[Augmenter, Image.Image, float], Image.Image]:
    def apply(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
        enhanced: Image.Image = getattr(ImageEnhance, kind)(square).enhance(1.0 + 0.9 * strength)
        return enhanced

    return apply


def _automatic(kind: str) -> Callable[[Augmenter, Image.Image, float], Image.Image]:
    def apply(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
        changed: Image.Image = getattr(ImageOps, kind)(square)
        return changed

    return apply


def _posterize(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    return ImageOps.posterize(square, 8 - round(4 * abs(strength)))


def _solarize(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    return ImageOps.solarize(square, round(256 * (1 - 0.9 * abs(strength))))


def _identity(augmenter: Augmenter, square: Image.Image, strength: float) -> Image.Image:
    return square


_OPERATIONS: dict[str, Callable[[Augmenter, Image.Image, float], Image.Image]] = {
    "identity": _identity,
    "autocontrast": _automatic("autocontrast"),
    "equalize": _automatic("equalize"),
    "rotate": _rotate,
    "solarize": _solarize,
    "colour": _enhance("Color"),
    "posterize": _posterize,
    "contrast": _enhance("Contrast"),
    "brightness": _enhance("Brightness"),
    "sharpness": _enhance("Sharpness"),
    "shear across": _shear_across,
    "shear down": _shear_down,
    "move across": _move_across,
    "move down": _move_down,
}
