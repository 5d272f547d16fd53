"""From a picture to what a model reads: one size, numbers around zero. Kept with the model, in its config.json."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

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

Side = Annotated[int, Meta(ge=1, le=4096)]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels of a picture."""

VIEW = 256
"""The longer side of what people look at, in pixels."""

_FILTERS = {
    "nearest": Resampling.NEAREST,
    "bilinear": Resampling.BILINEAR,
    "bicubic": Resampling.BICUBIC,
    "lanczos": Resampling.LANCZOS,
    "box": Resampling.BOX,
    "hamming": Resampling.HAMMING,
}

_WHOLE = 1 << 25
"""Pixels that a resized picture may have before its middle is cut out; of a thin strip, which would have more, only the
middle is resized."""


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[image]: how every picture is prepared, in training and in use."""

    LATER: ClassVar = frozenset({"width", "resize", "middle", "resampling", "shortcuts"})

    size: Annotated[
        int,
        Meta(
            ge=1,
            le=4096,
            description="Rows of the image that the model reads, and columns, too, where `width` is not given: the "
            "side of a square, in pixels.",
        ),
    ]

    width: Annotated[Side | None, Meta(description="Columns of the image, where they are not as many as rows.")] = None

    channels: Annotated[Literal[1, 3], Meta(description="3 for colours, 1 for grey.")] = 3

    fit: Annotated[
        Literal["crop", "stretch"],
        Meta(
            description='How a picture becomes a square: "crop" keeps the middle and its proportions, "stretch" keeps '
            "all of it."
        ),
    ] = "crop"

    resize: Annotated[
        tuple[Side, ...] | None,
        Meta(
            description="First make the picture this large, and then cut `size` out of its middle, as models from "
            'elsewhere do: with fit = "crop" [the shorter side], with "stretch" [rows, columns]. Not given: the part '
            "that is wanted becomes `size` in one step."
        ),
    ] = None

    middle: Annotated[
        Literal["floor", "round"],
        Meta(
            description="Where an odd number of pixels is cut off after `resize`: half of it rounded down before the "
            "middle (transformers), or to the nearest even number (torchvision, timm)."
        ),
    ] = "floor"

    resampling: Annotated[
        Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"],
        Meta(description="The filter that resizes pictures, with Pillow's names."),
    ] = "bicubic"

    shortcuts: Annotated[
        bool,
        Meta(
            description="Unpack and shrink large pictures in several steps: it is faster, and pixels differ by a "
            "little. Models from elsewhere do not, so that their pixels are their owners'."
        ),
    ] = True

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
        count = 1 if self.fit == "crop" else 2
        if self.resize is not None and len(self.resize) != count:
            raise ValueError(f'resize: expected {count} number(s) with fit = "{self.fit}", got {len(self.resize)}')

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of what the model reads."""
        return self.size, self.width or self.size

    @property
    def at_least(self) -> int:
        """Pixels that both sides of a picture must keep where it is unpacked smaller than it is; 0 for all of them."""
        return max(*self.shape, *(self.resize or ())) if self.shortcuts else 0

    def read(self, image: ImageLike) -> Image.Image:
        """The picture in a file, or what else `read_image` takes, in these channels and not much larger than need be.
        Raises as `read_image` does."""
        return read_image(image, self.channels, at_least=self.at_least)

    def fitted(self, picture: Image.Image, side: int | None = None) -> Image.Image:
        """What the model sees of a picture, of `shape` pixels, or with a longer side of `side` for people to look
        at."""
        if self.resize is None:
            return self.resized(picture, self._seen(picture.size), side)
        if side is None:
            return self._cut(picture)
        whole, box = self._middle(picture.size)
        if min(box[:2]) < 0 or box[2] > whole[0] or box[3] > whole[1]:  # it has a margin
            return self._cut(picture).resize(self._view(side), Resampling.BICUBIC)
        across, down = picture.size[0] / whole[0], picture.size[1] / whole[1]
        return self.resized(picture, (box[0] * across, box[1] * down, box[2] * across, box[3] * down), side)

    def resized(self, picture: Image.Image, box: Box, side: int | None = None) -> Image.Image:
        """A part of a picture in the size that the model reads, or with a longer side of `side`."""
        columns, rows = self._view(side)
        if picture.size == (columns, rows) and box == (0, 0, columns, rows):
            return picture
        gap = 3.0 if self.shortcuts else None
        return picture.resize((columns, rows), _FILTERS[self.resampling], box, reducing_gap=gap)

    def _view(self, side: int | None) -> tuple[int, int]:
        """Columns and rows for people to look at, and those that the model reads without `side`."""
        rows, columns = self.shape
        if side is None:
            return columns, rows
        longer = max(rows, columns)
        return max(1, round(columns * side / longer)), max(1, round(rows * side / longer))

    def _seen(self, size: tuple[int, int]) -> Box:
        """What the model sees of a picture of so many columns and rows."""
        width, height = size
        if self.fit == "stretch":
            return 0, 0, width, height
        rows, columns = self.shape
        across, down = min(width, height * columns / rows), min(height, width * rows / columns)
        left, top = (width - across) / 2, (height - down) / 2
        return left, top, left + across, top + down

    def _middle(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
        """Columns and rows of a resized picture, and the box in it that the model sees."""
        resize = self.resize or self.shape
        rows, columns = resize[0], resize[-1]
        if self.fit == "crop":
            columns, rows = (int(resize[0] * each / min(size)) for each in size)
        height, width = self.shape
        left, top = self._before(columns - width), self._before(rows - height)
        return (columns, rows), (left, top, left + width, top + height)

    def _before(self, over: int) -> int:
        """How many of the pixels that are too many lie before the middle; below zero where some are missing."""
        if self.middle == "floor":
            return over // 2
        return round(over / 2) if over >= 0 else -(-over // 2)

    def _cut(self, picture: Image.Image) -> Image.Image:
        """The middle of the resized picture; black where it is too small."""
        whole, box = self._middle(picture.size)
        gap = 3.0 if self.shortcuts else None
        if whole[0] * whole[1] > _WHOLE:
            across, down = picture.size[0] / whole[0], picture.size[1] / whole[1]
            part = (max(box[0], 0), max(box[1], 0), min(box[2], whole[0]), min(box[3], whole[1]))
            seen = (part[0] * across, part[1] * down, part[2] * across, part[3] * down)
            piece = picture.resize((part[2] - part[0], part[3] - part[1]), _FILTERS[self.resampling], seen, gap)
            return piece.crop((box[0] - part[0], box[1] - part[1], box[2] - part[0], box[3] - part[1]))
        if picture.size != whole:
            picture = picture.resize(whole, _FILTERS[self.resampling], reducing_gap=gap)
        return picture if box == (0, 0, *whole) else picture.crop(box)

    def shown(self, picture: Image.Image) -> Image.Image:
        """What the model sees of a picture, in a size and in colours for people to look at."""
        return self.fitted(picture, side=VIEW).convert("RGB")

    def array(self, square: Image.Image) -> Floats:
        """The numbers of a fitted picture, [rows, columns, channels]."""
        return self.numbers(self.pixels(square))

    def pixels(self, square: Image.Image) -> Pixels:
        """The pixels of a fitted picture, [rows, columns, channels]."""
        return np.asarray(square).reshape(*self.shape, self.channels)

    def numbers(self, pixels: Pixels) -> Floats:
        """The numbers of pixels, [..., channels]; of a whole batch at once it costs least."""
        factor, shift = self.factor_and_shift()
        numbers = pixels.astype(np.float32)
        numbers *= factor
        numbers += shift
        return numbers

    def factor_and_shift(self) -> tuple[Floats, Floats]:
        """(x / 255 - mean) / deviation of a pixel x, as one product and one sum: a number each, or one a channel."""
        factor = 1.0 / (255.0 * np.asarray(self.deviation))
        shift = -np.asarray(self.mean) / np.asarray(self.deviation)
        return factor.astype(np.float32), shift.astype(np.float32)


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
