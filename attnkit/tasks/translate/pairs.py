"""Sentence pairs as a translation model reads them: between its own start and end tokens, and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnkit.text.batching import BatchIterator
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus, WordFinder
from attnkit.text.tokenizers.base import Tokenizer
from attnkit.text.tokenizers.pair import TokenizerPair

if TYPE_CHECKING:
    from attnkit.models.recurrent import Recurrent
    from attnkit.models.transformer import Transformer


def encode_pairs(
    text: ParallelCorpus,
    tokenizers: TokenizerPair,
    max_length: int,
    words: tuple[WordFinder, WordFinder] | None = None,
) -> EncodedCorpus:
    """The pairs of at most `max_length` tokens on either side as ids, for `make_batches`; see `ParallelCorpus.encode`.

    A source that is not simply its tokens and the end token (`Tokenizer.closed`) has all that belongs to it.
    """
    source, target = tokenizers.source, tokenizers.target
    if _ends_plainly(source):
        return text.encode(source.encode, target.encode, max_length, words)

    def encode(line: str) -> list[int]:
        ids = source.encode(line)
        return source.closed(ids, source.eos_id) if ids else []

    def find(line: str, ids: Sequence[int]) -> list[int]:
        assert words is not None
        return source.closed(words[0](line, source.encode(line)), -1)

    return text.encode(encode, target.encode, max_length, None if words is None else (find, words[1]))


def make_batches(
    model: Transformer | Recurrent, tokenizers: TokenizerPair, pairs: EncodedCorpus, batch_tokens: int, **options: Any
) -> BatchIterator:
    """Batches of what `encode_pairs` gave, between the start and end tokens of the model: a converted one has its own.
    options: those of `BatchIterator`."""
    source = tokenizers.source
    return BatchIterator(
        pairs,
        batch_tokens,
        bos=model.bos_id,
        eos=model.eos_id,
        source_eos=_ends_plainly(source),
        source_end=source.eos_id,
        **options,
    )


def _ends_plainly(tokenizer: Tokenizer) -> bool:
    """Whether a source is its tokens and the end token behind them."""
    return tokenizer.closed([1, 2], -1) == [1, 2, -1]
