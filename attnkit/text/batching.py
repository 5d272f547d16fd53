"""Token-counted batches of sentence pairs, packed without padding, in an order that can be resumed exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attnkit._batching import cut_batches, pack
from attnkit.text.corpus import EncodedCorpus

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Batch:
    """B sentence pairs in the packed layout, every array int32.

    `source_ids [S]` and `source_offsets [B + 1]`; `target_input_ids [T]` (bos, then the sentence) and
    `target_labels [T]` (the sentence, then eos) share `target_offsets [B + 1]`. `tokens` is T, the number of labels;
    `sentences` is B.
    `indices [B]` says which sentences of the corpus they are.
    """

    source_ids: Int32Array
    source_offsets: Int32Array
    target_input_ids: Int32Array
    target_labels: Int32Array
    target_offsets: Int32Array
    indices: Int32Array
    tokens: int
    sentences: int


class BatchIterator:
    """Iterates over batches, epoch after epoch: each `for` loop runs to the end of the current epoch.

    Sentences are shuffled, sorted by length within buckets, cut into batches of at most `max_tokens` source tokens and
    as many target tokens (real ones: there is no padding; eos counts), and the batches are shuffled. A sentence longer
    than `max_tokens` is a batch by itself. The order depends on nothing but `seed` and the epoch: the random
    numbers are Philox's, keyed by both. With `shuffle=False` every epoch goes from short to long.

    `state_dict()` between any two batches, given to `load_state_dict()` of an iterator over the same corpus, continues
    with the same next batch.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        max_tokens: int,
        *,
        bos: int,
        eos: int,
        seed: int = 1,
        shuffle: bool = True,
        bucket_size: int = 8192,
        max_sentences: int = 1 << 30,
        source_eos: bool = True,
    ) -> None:
        if min(max_tokens, bucket_size, max_sentences) < 1:
            raise ValueError(
                f"[batching] expected max_tokens, bucket_size and max_sentences of at least 1, got {max_tokens}, "
                f"{bucket_size} and {max_sentences}"
            )
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"[batching] expected a seed of 64 bits, got {seed}")
        self._corpus = corpus
        self._max_tokens, self._max_sentences, self._bucket_size = max_tokens, max_sentences, bucket_size
        self._seed, self._shuffle = seed, shuffle
        self._bos, self._eos, self._source_eos = bos, eos, eos if source_eos else -1
        self._source_lengths = np.diff(corpus.source_offsets).astype(np.int32) + np.int32(source_eos)
        self._target_lengths = np.diff(corpus.target_offsets).astype(np.int32) + np.int32(1)
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

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self._plan()
        if self._index >= len(self._bounds):
            self._epoch += 1
            self._index = 0
            raise StopIteration
        start, end = self._bounds[self._index]
        self._index += 1
        return self._gather(self._order[start:end])

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
            "sentences": len(self._corpus),
            "source_tokens": int(self._corpus.source_offsets[-1]),
            "target_tokens": int(self._corpus.target_offsets[-1]),
            "max_tokens": self._max_tokens,
            "max_sentences": self._max_sentences,
            "bucket_size": self._bucket_size,
            "shuffle": int(self._shuffle),
        }

    def _plan(self) -> None:
        """Orders the sentences of the current epoch and cuts them into batches."""
        if self._planned == self._epoch:
            return
        if self._shuffle:
            random = np.random.Philox(key=np.array([self._seed, self._epoch], dtype=np.uint64))
            order = _permutation(random, len(self._corpus))
        else:
            order = np.arange(len(self._corpus), dtype=np.int64)
        bucket_size = self._bucket_size if self._shuffle else max(len(order), 1)
        for start in range(0, len(order), bucket_size):
            bucket = order[start : start + bucket_size]
            # The target costs most, so it decides; lexsort is stable, so ties keep their random order.
            bucket[:] = bucket[np.lexsort((self._source_lengths[bucket], self._target_lengths[bucket]))]
        ends = cut_batches(
            self._source_lengths[order], self._target_lengths[order], self._max_tokens, self._max_sentences
        )
        bounds = np.stack([np.concatenate([[0], ends])[:-1], ends], axis=1)
        if self._shuffle:
            bounds = bounds[_permutation(random, len(bounds))]
        self._order, self._bounds, self._planned = order, bounds, self._epoch

    def _gather(self, chosen: Int64Array) -> Batch:
        corpus = self._corpus
        source_ids, source_offsets = pack(corpus.source_ids, corpus.source_offsets, chosen, -1, self._source_eos)
        inputs, target_offsets = pack(corpus.target_ids, corpus.target_offsets, chosen, self._bos, -1)
        labels, _ = pack(corpus.target_ids, corpus.target_offsets, chosen, -1, self._eos)
        return Batch(
            source_ids=source_ids,
            source_offsets=source_offsets,
            target_input_ids=inputs,
            target_labels=labels,
            target_offsets=target_offsets,
            indices=chosen.astype(np.int32),
            tokens=len(labels),
            sentences=len(chosen),
        )


def _permutation(random: np.random.Philox, count: int) -> Int64Array:
    """A random order from the raw bits, which NumPy keeps the same for ever; Generator.permutation may change."""
    return np.argsort(random.random_raw(count), kind="stable").astype(np.int64)
