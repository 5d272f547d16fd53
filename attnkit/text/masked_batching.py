"""Token-counted batches of texts in which tokens are hidden, chosen anew each epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnkit._batching import pack
from attnkit._tensor import hold_indices
from attnkit.data.order import Int32Array, Int64Array
from attnkit.text.batch_order import TokenBatches
from attnkit.text.corpus import EncodedCorpus
from attnkit.text.masking import HELD_OUT, NOT_HIDDEN, Masker, hidden_places


@dataclass(frozen=True, slots=True)
class MaskedBatch:
    """B texts in the packed layout, with what stands around each, every array int32 and read-only.

    `ids [T]`, what the model reads; `offsets [B + 1]` into them; `places [M]`, the tokens to be guessed, and `labels
    [M]`, what they were. `indices [B]` says which texts of the corpus they are.
    """

    ids: Int32Array
    offsets: Int32Array
    places: Int32Array
    labels: Int32Array
    indices: Int32Array

    def __post_init__(self) -> None:
        hold_indices(self, "ids", "offsets", "places", "labels")

    @property
    def tokens(self) -> int:
        """The number of labels, which is what a loss is a mean over."""
        return len(self.labels)


class MaskedIterator(TokenBatches[MaskedBatch]):
    """Batches of at most `max_tokens` tokens, those around the texts counted, in the order of `TokenBatches`.

    bos, eos: the token before each text, and the one behind it; -1 for none.
    The texts are the targets of a corpus without sources. With `shuffle=False`, for held-out texts, every epoch hides
    the same tokens, whatever the seed.
    """

    def __init__(
        self,
        corpus: EncodedCorpus,
        masker: Masker,
        max_tokens: int,
        *,
        bos: int,
        eos: int = -1,
        seed: int = 1,
        shuffle: bool = True,
        bucket_size: int = 8192,
    ) -> None:
        lengths = np.diff(corpus.target_offsets).astype(np.int32) + np.int32((bos >= 0) + (eos >= 0))
        numbers = {"texts": len(corpus), "text_tokens": len(corpus.target_ids)}
        super().__init__(lengths, lengths, numbers, max_tokens, seed, shuffle, bucket_size, 1 << 30)
        self._corpus, self._masker, self._around = corpus, masker, (bos, eos)
        self._drawn: tuple[int, int] | None = None

    def _begin(self, epoch: int) -> None:
        drawn = (self._seed, epoch) if self._shuffle else HELD_OUT
        if drawn != self._drawn:
            corpus = self._corpus
            self._read, self._labels = self._masker.draw(corpus.target_ids, corpus.target_offsets, *drawn)
            self._drawn = drawn

    def _gather(self, chosen: Int64Array) -> MaskedBatch:
        offsets = self._corpus.target_offsets
        ids, packed = pack(self._read, offsets, chosen, *self._around)
        labels, _ = pack(self._labels, offsets, chosen, *(NOT_HIDDEN if each >= 0 else -1 for each in self._around))
        places = hidden_places(labels)
        return MaskedBatch(ids, packed, places, labels[places], chosen.astype(np.int32))
