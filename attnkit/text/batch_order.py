"""The order of batches: token-counted, shuffled by seed and epoch, and resumed exactly. What a batch holds is for the
subclasses to say: sentence pairs (`batching`), documents (`document_batching`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from attnkit._batching import cut_batches

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
B = TypeVar("B")


class TokenBatches(Generic[B]):
    """Iterates over batches, epoch after epoch: each `for` loop runs to the end of the current epoch.

    Examples are shuffled, sorted by length within buckets, cut into batches of at most `max_tokens` source tokens and
    as many target tokens (real ones: there is no padding), and the batches are shuffled. An example longer than
    `max_tokens` is a batch by itself. The order depends on nothing but `seed` and the epoch: the random numbers are
    Philox's, keyed by both. With `shuffle=False` every epoch goes from short to long.

    `state_dict()` between any two batches, given to `load_state_dict()` of an iterator over the same corpus, continues
    with the same next batch.
    """

    def __init__(
        self,
        source_lengths: Int32Array,
        target_lengths: Int32Array,
        corpus: Mapping[str, int],
        max_tokens: int,
        seed: int,
        shuffle: bool,
        bucket_size: int,
        max_sentences: int,
    ) -> None:
        """What each example costs on either side [N], and numbers by which a position tells its corpus from others."""
        if min(max_tokens, bucket_size, max_sentences) < 1:
            raise ValueError(
                f"[batching] expected max_tokens, bucket_size and max_sentences of at least 1, got {max_tokens}, "
                f"{bucket_size} and {max_sentences}"
            )
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"[batching] expected a seed of 64 bits, got {seed}")
        self._source_lengths, self._target_lengths = source_lengths, target_lengths
        self._corpus_numbers = dict(corpus)
        self._max_tokens, self._max_sentences, self._bucket_size = max_tokens, max_sentences, bucket_size
        self._seed, self._shuffle = seed, shuffle
        self._epoch = self._index = 0
        self._planned: int | None = None
        self._order: Int64Array = np.empty(0, dtype=np.int64)
        self._bounds: Int64Array = np.empty((0, 2), dtype=np.int64)

    @property
    def epoch(self) -> int:
        """The current epoch, from 0. It advances when a loop ends."""
        return self._epoch

    @property
    def index(self) -> int:
        """How many batches of this epoch have been given out."""
        return self._index

    def __len__(self) -> int:
        """The number of batches in the current epoch."""
        self._plan()
        return len(self._bounds)

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        self._plan()
        if self._index >= len(self._bounds):
            self._epoch += 1
            self._index = 0
            raise StopIteration
        start, end = self._bounds[self._index]
        self._index += 1
        return self._gather(self._order[start:end])

    def _begin(self, epoch: int) -> None:
        """Called before an epoch is ordered; examples of which it changes the lengths set `_source_lengths` and
        `_target_lengths` anew."""

    def _gather(self, chosen: Int64Array) -> B:
        """The batch of these examples, in this order."""
        raise NotImplementedError(f"[batching] expected a _gather method in {type(self).__name__}")

    def state_dict(self) -> dict[str, int]:
        """The position and what it depends on; plain numbers, ready for JSON."""
        return {"epoch": self._epoch, "index": self._index, **self._settings()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continues from a saved position. Raises ValueError for a state of other settings or of another corpus."""
        for key, value in self._settings().items():
            if state.get(key) != value:
                raise ValueError(f"[batching] expected a position with {key} = {value}, got {state.get(key)}")
        epoch, index = state.get("epoch", -1), state.get("index", -1)
        if epoch < 0:
            raise ValueError(f"[batching] expected an epoch of at least 0, got {epoch}")
        previous = self._epoch, self._index
        self._epoch = epoch
        if not 0 <= index <= len(self):
            message = f"[batching] expected an index in [0, {len(self)}] of epoch {epoch}, got {index}"
            self._epoch, self._index = previous
            raise ValueError(message)
        self._index = index

    def _settings(self) -> dict[str, int]:
        return {
            "seed": self._seed,
            **self._corpus_numbers,
            "max_tokens": self._max_tokens,
            "max_sentences": self._max_sentences,
            "bucket_size": self._bucket_size,
            "shuffle": int(self._shuffle),
        }

    def _plan(self) -> None:
        """Orders the examples of the current epoch and cuts them into batches."""
        if self._planned == self._epoch:
            return
        self._begin(self._epoch)
        count = len(self._target_lengths)
        if self._shuffle:
            random = np.random.Philox(key=np.array([self._seed, self._epoch], dtype=np.uint64))
            order = permutation(random, count)
        else:
            order = np.arange(count, dtype=np.int64)
        bucket_size = self._bucket_size if self._shuffle else max(count, 1)
        for start in range(0, count, bucket_size):
            bucket = order[start : start + bucket_size]
            # The target costs most, so it decides; lexsort is stable, so ties keep their random order.
            bucket[:] = bucket[np.lexsort((self._source_lengths[bucket], self._target_lengths[bucket]))]
        ends = cut_batches(
            self._source_lengths[order], self._target_lengths[order], self._max_tokens, self._max_sentences
        )
        bounds = np.stack([np.concatenate([[0], ends])[:-1], ends], axis=1)
        if self._shuffle:
            bounds = bounds[permutation(random, len(bounds))]
        self._order, self._bounds, self._planned = order, bounds, self._epoch


def permutation(random: np.random.Philox, count: int) -> Int64Array:
    """A random order from the raw bits, which NumPy keeps the same for ever; Generator.permutation may change."""
    return np.argsort(random.random_raw(count), kind="stable").astype(np.int64)


def held_out(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """(the rest, the held-out ones) of `count` numbers: about `share` of them drawn by the seed, in order. With two or
    more, each part has one."""
    order = permutation(np.random.Philox(key=seed), count)
    size = min(max(1, round(share * count)), count - 1)
    return sorted(order[size:].tolist()), sorted(order[:size].tolist())
