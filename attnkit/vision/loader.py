"""Batches of images, prepared by worker threads ahead of the training step, in an order that can be resumed exactly."""

from __future__ import annotations

import collections
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from attnkit.models.classification import ImageBatch
from attnkit.vision.augmentation import AugmentationConfig, Augmenter
from attnkit.vision.data import Pictures
from attnkit.vision.preprocessing import Pixels, Preprocessing
from attnkit.vision.targets import CaptionBatch, Targets

Batch = ImageBatch | CaptionBatch
Int64Array = npt.NDArray[np.int64]

# Pillow and NumPy work without the GIL most of the time, and so does the training step: more threads than this only
# take turns.
_WORKERS = 2
_AHEAD = 4  # batches that are ready or being made


class ImageLoader:
    """Iterates over batches, epoch after epoch: each `for` loop runs to the end of the current epoch.

    An epoch shows every image once. Which images a batch has and how they are augmented depends on `seed`, the epoch
    and the image alone, not on the workers. With `shuffle=False` every epoch goes through the images in order.

    `state_dict()` between any two batches, given to `load_state_dict()` of a loader of the same data, continues with
    the same next batch.
    """

    def __init__(
        self,
        pictures: Pictures,
        targets: Targets,
        preprocessing: Preprocessing,
        batch_images: int,
        *,
        augmentation: AugmentationConfig | None = None,
        seed: int = 1,
        shuffle: bool = True,
    ) -> None:
        if batch_images < 1:
            raise ValueError(f"[loader] expected batch_images of at least 1, got {batch_images}")
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"[loader] expected a seed of 64 bits, got {seed}")
        self._pictures, self._targets, self._preprocessing = pictures, targets, preprocessing
        self._augmenter = None if augmentation is None else Augmenter(augmentation, preprocessing)
        self._batch_images, self._seed, self._shuffle = batch_images, seed, shuffle
        self._epoch = self._index = 0
        self._orders: dict[int, Int64Array] = {}
        self._executor: ThreadPoolExecutor | None = None
        self._jobs: collections.deque[tuple[int, int, Future[Batch]]] = collections.deque()

    @property
    def epoch(self) -> int:
        """The current epoch, from 0. It advances when a loop ends."""
        return self._epoch

    @property
    def index(self) -> int:
        """How many batches of this epoch have been given out."""
        return self._index

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self._pictures) // self._batch_images)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if self._index >= len(self):
            self._epoch += 1
            self._index = 0
            raise StopIteration
        self._schedule()
        epoch, index, job = self._jobs.popleft()
        assert (epoch, index) == (self._epoch, self._index)
        self._index += 1
        return job.result()

    def state_dict(self) -> dict[str, int]:
        """The position and what it depends on; plain numbers, ready for JSON."""
        return {"epoch": self._epoch, "index": self._index, **self._settings()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continues from a saved position. Raises ValueError for a state of other settings or of other data."""
        for key, value in self._settings().items():
            if state.get(key) != value:
                raise ValueError(f"[loader] expected a position with {key} = {value}, got {state.get(key)}")
        epoch, index = state.get("epoch", -1), state.get("index", -1)
        if epoch < 0 or not 0 <= index <= len(self):
            raise ValueError(f"[loader] expected an epoch from 0 and an index to {len(self)}, got {epoch} and {index}")
        self._epoch, self._index = epoch, index
        for _, _, job in self._jobs:
            job.cancel()
        self._jobs.clear()

    def _settings(self) -> dict[str, int]:
        return {
            "seed": self._seed,
            "images": len(self._pictures),
            "targets": self._targets.count(),
            "batch_images": self._batch_images,
            "shuffle": int(self._shuffle),
        }

    # ----- The workers

    def _schedule(self) -> None:
        """Starts on the next batches. In training they go on into the next epoch."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="attnkit-images")
        epoch, index = self._jobs[-1][:2] if self._jobs else (self._epoch, self._index - 1)
        while len(self._jobs) < _AHEAD:
            index += 1
            if index >= len(self):
                if not self._shuffle:
                    return
                epoch, index = epoch + 1, 0
            chosen = self._order(epoch)[index * self._batch_images : (index + 1) * self._batch_images]
            self._jobs.append((epoch, index, self._executor.submit(self._make, chosen, epoch)))

    def _order(self, epoch: int) -> Int64Array:
        if epoch not in self._orders:
            # Raw bits, which NumPy keeps the same for ever; see attnkit.text.batching.
            philox = np.random.Philox(key=np.array([self._seed, epoch], dtype=np.uint64))
            count = len(self._pictures)
            order = np.argsort(philox.random_raw(count), kind="stable") if self._shuffle else np.arange(count)
            self._orders = {each: known for each, known in self._orders.items() if each >= self._epoch}
            self._orders[epoch] = order.astype(np.int64)
        return self._orders[epoch]

    # ----- One batch, by one worker

    def _make(self, chosen: Int64Array, epoch: int) -> Batch:
        images = self._preprocessing.numbers(np.stack([self._pixels(int(index), epoch) for index in chosen]))
        return self._targets.batch(images, chosen.astype(np.int32), epoch, self._seed)

    def _pixels(self, index: int, epoch: int) -> Pixels:
        prepare = self._preprocessing
        picture = self._pictures.get(index, prepare.channels, prepare.size)
        if self._augmenter is None:
            return prepare.pixels(prepare.fitted(picture))
        return self._augmenter(picture, random.Random(f"augment {self._seed} {epoch} {index}"))
