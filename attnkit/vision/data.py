"""Image data: pictures, and for each of them a class, captions, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from attnkit.data.labels import numbered
from attnkit.data.order import held_out
from attnkit.vision.images import read_image, to_image


class Pictures(Protocol):
    """Pictures by number. `get` is called from several threads at once."""

    def __len__(self) -> int: ...

    def get(self, index: int, channels: int, at_least: int) -> Image.Image:
        """Picture number `index`; see `read_image`. Raises OSError or ValueError that names the file."""
        ...

    def name(self, index: int) -> str:
        """What messages call it."""
        ...


class ImageFiles:
    """Pictures that are read from their files when they are wanted."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)

    def __len__(self) -> int:
        return len(self._paths)

    def get(self, index: int, channels: int, at_least: int) -> Image.Image:
        return read_image(self._paths[index], channels, at_least)

    def name(self, index: int) -> str:
        return str(self._paths[index])


class PixelArray:
    """Pictures in memory: uint8 [N, H, W] or [N, H, W, 3]."""

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def get(self, index: int, channels: int, at_least: int) -> Image.Image:
        return to_image(self._pixels[index], channels)

    def name(self, index: int) -> str:
        return f"image {index}"


class _Chosen:
    """Some of other pictures."""

    def __init__(self, pictures: Pictures, indices: Sequence[int]) -> None:
        self._pictures, self._indices = pictures, indices

    def __len__(self) -> int:
        return len(self._indices)

    def get(self, index: int, channels: int, at_least: int) -> Image.Image:
        return self._pictures.get(self._indices[index], channels, at_least)

    def name(self, index: int) -> str:
        return self._pictures.name(self._indices[index])


@dataclass(frozen=True, slots=True)
class ImageData:
    """N pictures with what is known of them.

    labels: the class of each, by name; captions: the captions of each, at least one. Either is None where the data has
    none.
    """

    pictures: Pictures
    labels: Sequence[str] | None = None
    captions: Sequence[tuple[str, ...]] | None = None

    def __len__(self) -> int:
        return len(self.pictures)

    def classes(self) -> tuple[str, ...]:
        """The names of the classes, sorted; numbers by their size."""
        names = set(self.labels or ())
        numbers = all(name.isdecimal() for name in names)
        return tuple(sorted(names, key=lambda name: (int(name) if numbers else 0, name)))

    def numbered(self, classes: Sequence[str], split: str) -> npt.NDArray[np.int32]:
        """The labels as numbers. Raises ValueError for one that is not among `classes`."""
        expected = f"[train] expected the classes of the training data in data.{split}"
        return numbered(self.labels or (), classes, expected, self.pictures.name)

    def chosen(self, indices: Sequence[int]) -> ImageData:
        """Those pictures, in that order."""
        return replace(
            self,
            pictures=_Chosen(self.pictures, indices),
            labels=None if self.labels is None else [self.labels[index] for index in indices],
            captions=None if self.captions is None else [self.captions[index] for index in indices],
        )

    def hold_out(self, share: float, seed: int) -> tuple[ImageData, ImageData]:
        """The data without a share of it, and that share, drawn at random; both keep the order. Each has a picture."""
        rest, held = held_out(len(self), share, seed)
        return self.chosen(rest), self.chosen(held)

    def describe(self) -> str:
        """For the log."""
        parts = [f"{len(self):,} images"]
        if self.labels is not None:
            parts.append(f"{len(self.classes()):,} classes")
        if self.captions is not None:
            parts.append(f"{sum(map(len, self.captions)):,} captions")
        return ", ".join(parts)
