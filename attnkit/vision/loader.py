"""Batches of images, prepared by worker threads ahead of the training step, in an order that can be resumed exactly."""

from __future__ import annotations

import collections
import random
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from attnkit.data.order import Epochs, Int64Array, epoch_order
from attnkit.vision.augmentation import AugmentationConfig, Augmenter
from attnkit.vision.data import Pictures
from attnkit.vision.preprocessing import Pixels, Preprocessing
from attnkit.vision.targets import CaptionBatch, ImageBatch, Targets

Batch = ImageBatch | CaptionBatch

# Pillow and NumPy work without the GIL most of the time, and so does the training step: more threads than this only
# take turns.
_WORKERS = 2
_AHEAD = 4  # batches that are ready or being made


class ImageLoader(Epochs[Batch]):
    """Batches of images, which worker threads prepare ahead.

    An epoch shows every image once. Which images a batch has and how they are augmented depends on `seed`, the epoch
    and the image alone, not on the workers. With `shuffle=False` every epoch goes through the images in order.
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
        super().__init__("loader", seed)
        if batch_images < 1:
            raise ValueError(f"[loader] expected batch_images of at least 1, got {batch_images}")
        self._pictures, self._targets, self._preprocessing = pictures, targets, preprocessing
        self._augmenter = None if augmentation is None else Augmenter(augmentation, preprocessing)
        self._batch_images, self._shuffle = batch_images, shuffle
        self._orders: dict[int, Int64Array] = {}
        self._executor: ThreadPoolExecutor | None = None
        self._jobs: collections.deque[tuple[int, int, Future[Batch]]] = collections.deque()

    def __len__(self) -> int:
        return -(-len(self._pictures) // self._batch_images)

    def _batch(self, index: int) -> Batch:
        self._schedule(index)
        epoch, number, job = self._jobs.popleft()
        assert (epoch, number) == (self._epoch, index)
        return job.result()

    def _jumped(self) -> None:
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

    def _schedule(self, index: int) -> None:
        """Starts on batch `index` and the next ones. In training they go on into the next epoch."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="attnkit-images")
        epoch, index = self._jobs[-1][:2] if self._jobs else (self._epoch, index - 1)
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
            count = len(self._pictures)
            order = epoch_order(self._seed, epoch, count) if self._shuffle else np.arange(count, dtype=np.int64)
            self._orders = {each: known for each, known in self._orders.items() if each >= self._epoch}
            self._orders[epoch] = order
        return self._orders[epoch]

    # ----- One batch, by one worker

    def _make(self, chosen: Int64Array, epoch: int) -> Batch:
        images = self._preprocessing.numbers(np.stack([self._pixels(int(index), epoch) for index in chosen]))
        return self._targets.batch(images, chosen.astype(np.int32), epoch, self._seed)

    def _pixels(self, index: int, epoch: int) -> Pixels:
        prepare = self._preprocessing
        picture = self._pictures.get(index, prepare.channels, prepare.at_least)
        if self._augmenter is None:
            return prepare.pixels(prepare.fitted(picture))
        return self._augmenter(picture, random.Random(f"augment {self._seed} {epoch} {index}"))
