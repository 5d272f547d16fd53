"""From a picture to what a model reads: one size, numbers around zero. Kept with the model, in its config.json."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta
from PIL import Image
from PIL.Image import Resampling

from attnkit import typed
from attnkit.printable import shortened
from attnkit.vision.images import ImageLike, read_image

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Deviation = Annotated[float, Meta(gt=0.0)]

VIEW = 256
"""Side of the square that people look at, in pixels."""


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[image]: how every picture is prepared, in training and in use."""

    size: Annotated[int, Meta(ge=1, le=4096, description="Side of the square that the model reads, in pixels.")]

    channels: Annotated[Literal[1, 3], Meta(description="3 for colours, 1 for grey.")] = 3

    fit: Annotated[
        Literal["crop", "stretch"],
        Meta(
            description='How a picture becomes a square: "crop" keeps the middle and its proportions, "stretch" keeps '
            "all of it."
        ),
    ] = "crop"

    mean: Annotated[
        tuple[float, ...],
        Meta(description="Subtracted from numbers from 0 to 1; one for all channels, or one for each."),
    ] = (0.5,)

    deviation: Annotated[
        tuple[Deviation, ...],
        Meta(description="What is left is divided by this; one for all channels, or one for each."),
    ] = (0.5,)

    def __post_init__(self) -> None:
        for name, numbers in (("mean", self.mean), ("deviation", self.deviation)):
            if len(numbers) not in (1, self.channels):
                raise ValueError(f"{name}: expected 1 or {self.channels} numbers, got {len(numbers)}")

    def read(self, image: ImageLike) -> Image.Image:
        """The picture in a file, or what else `read_image` takes, in these channels and not much larger than need be.
        Raises as `read_image` does."""
        return read_image(image, self.channels, at_least=self.size)

    def fitted(self, picture: Image.Image, side: int | None = None) -> Image.Image:
        """The square that the model sees of a picture, of `size` pixels, or of `side` for people to look at."""
        width, height = picture.size
        square = (side or self.size, side or self.size)
        if picture.size == square:
            return picture
        box: tuple[float, float, float, float] = (0, 0, width, height)
        if self.fit == "crop":
            short = min(width, height)
            left, top = (width - short) / 2, (height - short) / 2
            box = (left, top, left + short, top + short)
        return picture.resize(square, Resampling.BICUBIC, box, reducing_gap=3.0)

    def shown(self, picture: Image.Image) -> Image.Image:
        """The square that the model sees of a picture, in a size and in colours for people to look at."""
        return self.fitted(picture, side=VIEW).convert("RGB")

    def array(self, square: Image.Image) -> Floats:
        """The numbers of a square, [size, size, channels]."""
        return self.numbers(self.pixels(square))

    def pixels(self, square: Image.Image) -> Pixels:
        """The pixels of a square, [size, size, channels]."""
        return np.asarray(square).reshape(self.size, self.size, self.channels)

    def numbers(self, pixels: Pixels) -> Floats:
        """The numbers of pixels, [..., channels]; of a whole batch at once it costs least."""
        # (x / 255 - mean) / deviation, as one product and one sum.
        factor = 1.0 / (255.0 * np.asarray(self.deviation))
        shift = -np.asarray(self.mean) / np.asarray(self.deviation)
        numbers = pixels.astype(np.float32)
        numbers *= factor.astype(np.float32)
        numbers += shift.astype(np.float32)
        return numbers


def saved_preprocessing(found: Any, directory: Path) -> Preprocessing:
    """Of what stands under `image` in a directory's config.json. Raises ValueError where that is none."""
    try:
        return typed.convert(found, Preprocessing)
    except msgspec.ValidationError as error:
        where, reason = directory / "config.json", shortened(str(error), 500)
        raise ValueError(f"[load] {where}: expected how images are prepared: {reason}") from None


def check_images(images: Iterable[ImageLike], op: str) -> None:
    """Raises TypeError for one image where a list of them is meant."""
    is_one = isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | np.ndarray)
    if is_one or not isinstance(images, Iterable) or hasattr(images, "read") or hasattr(images, "getexif"):
        raise TypeError(f"[{op}] expected a list of images, got one {type(images).__name__}")
