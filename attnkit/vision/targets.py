"""What is learnt from images: their classes, or their captions; and the batches that carry them."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from attnkit._tensor import hold_indices

Int32Array = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Images = Callable[[Int32Array], Floats]
"""The images of these examples [B], float32 [B, H, W, C]."""


@dataclass(frozen=True)
class ImageBatch:
    """Images with what they show.

    images: float32 [B, H, W, C]. labels: classes, int32 [B], or a distribution over them, float32 [B, classes]. After
    mixup (Zhang et al., 2018) `other_labels` [B] are the second classes and `share` [B], between 0 and 1, says how much
    of an image is the first. indices: which examples of the data these are.
    """

    images: np.ndarray
    labels: np.ndarray
    other_labels: np.ndarray | None = None
    share: np.ndarray | None = None
    indices: np.ndarray | None = None

    def __post_init__(self) -> None:
        labels = {"labels": np.asarray(self.labels), "other_labels": np.asarray(self.other_labels)}
        hold_indices(self, *(name for name, x in labels.items() if x.ndim == 1 and x.dtype.kind in "iu"))

    @property
    def tokens(self) -> int:
        """How many images."""
        return len(self.images)


@dataclass(frozen=True, slots=True)
class CaptionBatch:
    """B images, float32 [B, H, W, C], each with one caption; ids int32, made Indices once, so read-only.

    target_input_ids [T] (bos, then the caption) and target_labels [T] (the caption, then eos) share target_offsets
    [B + 1]. indices [B] says which images of the data they are. tokens is T, the number of labels.
    """

    images: Floats
    target_input_ids: Int32Array
    target_labels: Int32Array
    target_offsets: Int32Array
    indices: Int32Array
    tokens: int

    def __post_init__(self) -> None:
        hold_indices(self, "target_input_ids", "target_labels", "target_offsets")


class Targets(Protocol):
    """What the loader asks for each batch. `batch` is called from several threads at once."""

    def batch(self, images: Images, whole: Int32Array, part: slice, epoch: int, seed: int) -> ImageBatch | CaptionBatch:
        """Of a batch that has the examples `whole`, those of a part."""
        ...

    def count(self) -> int:
        """The number of labels or captions: what shows that the data has changed."""
        ...


class Classes:
    """The class of each image, int32 [N]. With `mixup` images and labels are blended in pairs (Zhang et al., 2018), by
    a share drawn from Beta(mixup, mixup): pairs of a whole batch, so that it is the same however it is cut."""

    def __init__(self, labels: Int32Array, mixup: float = 0.0) -> None:
        self._labels, self._mixup = labels, mixup

    def batch(self, images: Images, whole: Int32Array, part: slice, epoch: int, seed: int) -> ImageBatch:
        own = whole[part]
        labels = self._labels[own]
        if not self._mixup:
            return ImageBatch(images(own), labels, indices=own)
        draw = random.Random(f"mixup {seed} {epoch} {whole[0]}")
        others = whole[draw.sample(range(len(whole)), len(whole))][part]
        share = np.float32(draw.betavariate(self._mixup, self._mixup))
        blended = share * images(own) + (np.float32(1.0) - share) * images(others)
        return ImageBatch(blended, labels, self._labels[others], np.full(len(own), share), own)

    def count(self) -> int:
        return len(self._labels)


class Captions:
    """The captions of each image as ids, at least one. From one epoch to the next an image goes through its captions in
    turn."""

    def __init__(self, captions: Sequence[Sequence[Sequence[int]]], bos: int, eos: int) -> None:
        self._captions, self._bos, self._eos = captions, bos, eos

    def batch(self, images: Images, whole: Int32Array, part: slice, epoch: int, seed: int) -> CaptionBatch:
        indices = whole[part]
        captions = [self._caption(int(index), epoch, seed) for index in indices]
        offsets = np.cumsum([0, *(len(caption) + 1 for caption in captions)]).astype(np.int32)
        inputs = np.array([token for caption in captions for token in (self._bos, *caption)], np.int32)
        labels = np.array([token for caption in captions for token in (*caption, self._eos)], np.int32)
        return CaptionBatch(images(indices), inputs, labels, offsets, indices, len(labels))

    def count(self) -> int:
        return sum(map(len, self._captions))

    def _caption(self, index: int, epoch: int, seed: int) -> Sequence[int]:
        captions = self._captions[index]
        first = zlib.crc32(f"{seed} {index}".encode()) % len(captions)
        return captions[(first + epoch) % len(captions)]
