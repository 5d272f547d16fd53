"""Tokens that are hidden from a model, which learns to guess them: chosen by seed and epoch alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attnkit._batching import pack
from attnkit.data.order import Int32Array, Int64Array
from attnkit.text.corpus import EncodedCorpus
from attnkit.text.masking_config import MaskingConfig
from attnkit.text.tokenizers.vocabulary import PAD, WORD_START

if TYPE_CHECKING:
    from attnkit.text.tokenizers.base import Tokenizer

NOT_HIDDEN = PAD
"""The label of a token that is not to be guessed: no token is padding."""

HELD_OUT = (0, 2**64 - 1)
"""The seed and the epoch of the masks that held-out texts have: the same in every run and at every validation."""

_BLOCK = 4096  # texts that share a stream of random numbers, so that memory is bounded


class Masker:
    """Chooses tokens and says what the model reads in their place.

    Special tokens and unknown ones are never chosen, and never stand in for others.
    """

    def __init__(self, config: MaskingConfig, tokenizer: Tokenizer, mask_id: int) -> None:
        self._config, self._mask_id = config, mask_id
        size = tokenizer.vocab_size
        self._ordinary = ordinary_tokens(tokenizer)
        self._choices = np.flatnonzero(self._ordinary).astype(np.int32)
        starts = np.array([piece.startswith(WORD_START) for piece in tokenizer.pieces(range(size))], bool)
        self._starts = starts if config.whole_words and starts.any() else np.ones(size, bool)

    def draw(self, ids: Int32Array, offsets: Int64Array, seed: int, epoch: int) -> tuple[Int32Array, Int32Array]:
        """Texts, ids int32 [T] with offsets [N + 1] → what the model reads of them [T], and what it is to guess [T],
        NOT_HIDDEN where nothing. They depend on the seed, the epoch and the texts alone."""
        read, labels = ids.copy(), np.full(len(ids), NOT_HIDDEN, np.int32)
        for number, first in enumerate(range(0, len(offsets) - 1, _BLOCK)):
            bounds = offsets[first : first + _BLOCK + 1]
            part = slice(bounds[0], bounds[-1])
            # The order of the epoch's examples begins at counter 0, and never comes so far.
            counter = np.array([0, 0, number, 1], np.uint64)
            random = np.random.Philox(key=np.array([seed, epoch], np.uint64), counter=counter)
            chosen = self._choose(ids[part], bounds - bounds[0], random)
            labels[part][chosen] = ids[part][chosen]
            read[part][chosen] = self._replaced(ids[part][chosen], random)
        return read, labels

    def with_something_to_hide(self, corpus: EncodedCorpus) -> EncodedCorpus:
        """The texts of which a token can be hidden: not those of unknown ones alone."""
        _, labels = self.draw(corpus.target_ids, corpus.target_offsets, *HELD_OUT)
        sums = np.concatenate([[0], np.cumsum(labels != NOT_HIDDEN)])
        counts = np.diff(sums[corpus.target_offsets])
        if counts.all():
            return corpus
        ids, offsets = pack(corpus.target_ids, corpus.target_offsets, np.flatnonzero(counts))
        nothing = np.zeros(len(offsets), np.int64)
        return EncodedCorpus(corpus.source_ids[:0], nothing, ids, offsets.astype(np.int64), corpus.report)

    def _choose(self, ids: Int32Array, offsets: Int64Array, random: np.random.Philox) -> Int64Array:
        """Which tokens are hidden: of each text the words with the smallest random keys, as many as fit its share."""
        keys = random.random_raw(len(ids))
        texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        starts = self._starts[ids]
        starts[offsets[:-1][np.diff(offsets) > 0]] = True
        words = np.cumsum(starts) - 1
        usable = np.ones(int(starts.sum()), bool)
        usable[words[~self._ordinary[ids]]] = False
        candidates = np.flatnonzero(usable[words])
        keys = keys[np.flatnonzero(starts)][words]
        order = candidates[np.lexsort((keys[candidates], texts[candidates]))]
        counts = np.bincount(texts[order], minlength=len(offsets) - 1)
        wanted = np.maximum(np.floor(self._config.share * counts + 0.5), 1)
        # The rank of each token among those of its text, and that of the last token of its word.
        rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        ends = np.flatnonzero(np.diff(words[order], append=-1) != 0)
        sizes = np.diff(ends, prepend=-1)
        last, first = np.repeat(rank[ends], sizes), np.repeat(rank[ends] - sizes + 1, sizes)
        return np.sort(order[(last < wanted[texts[order]]) | (first == 0)]).astype(np.int64)

    def _replaced(self, ids: Int32Array, random: np.random.Philox) -> Int32Array:
        """What is read in place of the chosen tokens."""
        share = (random.random_raw(len(ids)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
        others = self._choices[(random.random_raw(len(ids)) % np.uint64(len(self._choices))).astype(np.int64)]
        config = self._config
        result = np.where(share < config.mask + config.random, others, ids)
        return np.where(share < config.mask, self._mask_id, result).astype(np.int32)


def ordinary_tokens(tokenizer: Tokenizer) -> npt.NDArray[np.bool_]:
    """Of each entry of a vocabulary, whether text becomes it: not the special ones, nor that of a mask."""
    ordinary = np.ones(tokenizer.vocab_size, bool)
    ordinary[sorted(tokenizer.special_ids)] = False
    return ordinary


def hidden_places(labels: npt.NDArray[np.int32]) -> Int32Array:
    """Where labels are to be guessed."""
    return np.flatnonzero(labels != NOT_HIDDEN).astype(np.int32)
