"""Batches of images, prepared by worker threads ahead of the training step, in an order that can be resumed exactly."""

from __future__ import annotations

import collections
import functools
import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from attnkit.data.order import Epochs, Int64Array, epoch_order, shards
from attnkit.vision.augmentation import AugmentationConfig, Augmenter
from attnkit.vision.data import Pictures
from attnkit.vision.preprocessing import Pixels, Preprocessing
from attnkit.vision.targets import CaptionBatch, Floats, ImageBatch, Int32Array, Targets

Batch = ImageBatch | CaptionBatch
Job = Future[list[Batch | None]]

# Pillow and NumPy work without the GIL most of the time, and so does the training step: more threads than this only
# take turns.
_WORKERS = 2
_AHEAD = 4  # batches that are ready or being made


class ImageLoader(Epochs[Batch]):
    """Batches of images, which worker threads prepare ahead.

    An epoch shows every image once. Which images a batch has and how they are augmented depends on `seed`, the epoch
    and the image alone, not on the workers. With `shuffle=False` every epoch goes through the images in order.

    Of batches that are cut, only the shards that are dealt are prepared, and after mixup the images that are blended
    into theirs.
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
        self._ahead: Iterator[Job] = iter(())

    def __len__(self) -> int:
        return -(-len(self._pictures) // self._batch_images)

    def pick(self, numbers: Sequence[int]) -> Iterator[Batch]:
        for job in self._prepared(((self._epoch, number) for number in numbers), range(1), 1):
            (batch,) = job.result()
            assert batch is not None  # no batch is empty
            yield batch

    def _shards(self, index: int, parts: range, of: int) -> list[Batch | None]:
        job = next(self._ahead, None)
        if job is None:
            self._ahead = self._prepared(self._coming(index), parts, of)
            job = next(self._ahead)
        return job.result()

    def _jumped(self) -> None:
        self._ahead = iter(())

    def _settings(self) -> dict[str, int]:
        return {
            "seed": self._seed,
            "images": len(self._pictures),
            "targets": self._targets.count(),
            "batch_images": self._batch_images,
            "shuffle": int(self._shuffle),
        }

    # ----- The workers

    def _coming(self, index: int) -> Iterator[tuple[int, int]]:
        """The places of batch `index` and of those behind it. In training they go on into the next epochs."""
        yield from ((self._epoch, number) for number in range(index, len(self)))
        for epoch in itertools.count(self._epoch + 1) if self._shuffle else ():
            yield from ((epoch, number) for number in range(len(self)))

    def _prepared(self, places: Iterable[tuple[int, int]], parts: range, of: int) -> Iterator[Job]:
        """The shards of the batches at these places, epoch and number: `_AHEAD` of them are ready or being made."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(_WORKERS, thread_name_prefix="attnkit-images")
        jobs: collections.deque[Job] = collections.deque()
        try:
            for epoch, number in places:
                chosen = self._order(epoch)[number * self._batch_images : (number + 1) * self._batch_images]
                jobs.append(self._executor.submit(self._make, chosen.astype(np.int32), parts, of, epoch))
                if len(jobs) == _AHEAD:
                    yield jobs.popleft()
            while jobs:
                yield jobs.popleft()
        finally:
            for job in jobs:
                job.cancel()

    def _order(self, epoch: int) -> Int64Array:
        if epoch not in self._orders:
            count = len(self._pictures)
            order = epoch_order(self._seed, epoch, count) if self._shuffle else np.arange(count, dtype=np.int64)
            self._orders = {each: known for each, known in self._orders.items() if each >= self._epoch}
            self._orders[epoch] = order
        return self._orders[epoch]

    # ----- The shards of one batch, by one worker

    def _make(self, chosen: Int32Array, parts: range, of: int, epoch: int) -> list[Batch | None]:
        pixels = functools.cache(lambda index: self._pixels(index, epoch))  # mixup shows an image twice

        def images(indices: Int32Array) -> Floats:
            return self._preprocessing.numbers(np.stack([pixels(index) for index in indices.tolist()]))

        cuts = shards(np.ones(len(chosen), np.int32), of)
        return [
            self._targets.batch(images, chosen, cuts[part], epoch, self._seed) if len(chosen[cuts[part]]) else None
            for part in parts
        ]

    def _pixels(self, index: int, epoch: int) -> Pixels:
        prepare = self._preprocessing
        picture = self._pictures.get(index, prepare.channels, prepare.at_least)
        if self._augmenter is None:
            return prepare.pixels(prepare.fitted(picture))
        return self._augmenter(picture, random.Random(f"augment {self._seed} {epoch} {index}"))
