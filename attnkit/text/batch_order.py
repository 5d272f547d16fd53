"""The order of batches: token-counted, shuffled by seed and epoch, and resumed exactly. What a batch holds is for the
subclasses to say: sentence pairs (`batching`), documents (`document_batching`)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from attnkit._batching import cut_batches
from attnkit.data.order import B, Epochs, Int32Array, Int64Array, epoch_random, permutation, shards


class TokenBatches(Epochs[B]):
    """Batches by the number of their tokens.

    Examples are shuffled, sorted by length within buckets, cut into batches of at most `max_tokens` source tokens and
    as many target tokens (real ones: there is no padding), and the batches are shuffled. An example longer than
    `max_tokens` is a batch by itself. The order depends on nothing but `seed` and the epoch: the random numbers are
    Philox's, keyed by both. With `shuffle=False` every epoch goes from short to long.
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
        super().__init__("batching", seed)
        if min(max_tokens, bucket_size, max_sentences) < 1:
            raise ValueError(
                f"[batching] expected max_tokens, bucket_size and max_sentences of at least 1, got {max_tokens}, "
                f"{bucket_size} and {max_sentences}"
            )
        self._source_lengths, self._target_lengths = source_lengths, target_lengths
        self._corpus_numbers = dict(corpus)
        self._max_tokens, self._max_sentences, self._bucket_size = max_tokens, max_sentences, bucket_size
        self._shuffle = shuffle
        self._planned: int | None = None
        self._order: Int64Array = np.empty(0, dtype=np.int64)
        self._bounds: Int64Array = np.empty((0, 2), dtype=np.int64)

    def __len__(self) -> int:
        self._plan()
        return len(self._bounds)

    def _shards(self, index: int, parts: range, of: int) -> list[B | None]:
        """Cut where the tokens of both sides together are nearest to equal."""
        self._plan()
        start, end = self._bounds[index]
        batch = self._order[start:end]
        cuts = shards(self._source_lengths[batch] + self._target_lengths[batch], of)
        chosen = [batch[cuts[part]] for part in parts]
        return [self._gather(examples) if len(examples) else None for examples in chosen]

    def _begin(self, epoch: int) -> None:
        """Called before an epoch is ordered; examples of which it changes the lengths set `_source_lengths` and
        `_target_lengths` anew."""

    def _gather(self, chosen: Int64Array) -> B:
        """The batch of these examples, in this order."""
        raise NotImplementedError(f"[batching] expected a _gather method in {type(self).__name__}")

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
            random = epoch_random(self._seed, self._epoch)
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
