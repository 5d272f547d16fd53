"""BPE-dropout (Provilkov, Emelianenko and Voita, 2020): while a model learns, merges are left out at random, so that it
sees a word cut in other ways each epoch and learns what its parts are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress

import numpy as np

from attnkit.text.corpus import EncodedCorpus, ParallelCorpus
from attnkit.text.tokenizers.base import Tokenizer
from attnkit.text.tokenizers.merges import Drops
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.sentencepiece import SentencePieceTokenizer
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.word_pieces import word_finders


class BpeDropout:
    """The pairs of a corpus as ids, cut anew for each epoch; the same seed and epoch give the same ids."""

    def __init__(
        self, text: ParallelCorpus, tokenizers: TokenizerPair, dropout: float, max_length: int, seed: int = 1
    ) -> None:
        """`dropout`: the probability in (0, 1) that a merge is left out; it is not tried again.

        The pairs are those that `text.encode` keeps with `max_length`; a sentence that would be longer than that is
        encoded without dropout. Raises ValueError for tokenizers without merges.
        """
        self._dropout, self._max_length, self._seed = dropout, max_length, seed
        source, target = tokenizers.source, tokenizers.target
        self._source, self._target = self._cutting(source), self._cutting(target)
        self._words = word_finders(tokenizers)
        kept = [self._fits(len(source.encode(one))) and self._fits(len(target.encode(other))) for one, other in text]
        self._text = ParallelCorpus.from_pairs(compress(text, kept))
        self._text.links = None if text.links is None else list(compress(text.links, kept))

    def __call__(self, epoch: int) -> EncodedCorpus:
        """The corpus of an epoch, counted from 0."""
        # The order of the epoch's examples begins at counter 0 of the same key, and never comes so far.
        counter = np.array([0, 0, 0, 2], np.uint64)
        random = np.random.Philox(key=np.array([self._seed, epoch], dtype=np.uint64), counter=counter)
        self._drops = Drops(random, self._dropout)
        return self._text.encode(self._source, self._target, words=self._words)

    def _fits(self, length: int) -> bool:
        return 0 < length <= self._max_length

    def _cutting(self, tokenizer: Tokenizer) -> Callable[[str], list[int]]:
        inner = tokenizer.inner if isinstance(tokenizer, TaggedTokenizer) else tokenizer
        if not isinstance(inner, SentencePieceTokenizer):
            raise ValueError(f"[bpe_dropout] expected tokenizers of BPE, got {type(inner).__name__}")

        def sample(text: str) -> list[int]:
            return inner.sample(text, self._drops)

        def cut(text: str) -> list[int]:
            ids = tokenizer.encode_by(text, sample) if isinstance(tokenizer, TaggedTokenizer) else sample(text)
            return ids if self._fits(len(ids)) else tokenizer.encode(text)

        return cut
