"""Sentence pairs as a translation model reads them: between its own start and end tokens, and in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnkit.text.batching import BatchIterator
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus, WordFinder
from attnkit.text.languages import tag_of
from attnkit.text.tokenizers.base import Tokenizer
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.tagged import TaggedTokenizer

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

    A source that is not simply its tokens and the end token (`Tokenizer.closed`) has all that belongs to it. Where both
    sides say their language (`Tokenizer.marks_both`), those of the tokenizers stand there: the target begins with its
    own, a token to be learnt like any other, as in M2M-100's training.
    """
    source, target = tokenizers.source, tokenizers.target
    tag, first = _marks(source)
    if not first and _ends_plainly(source):
        return text.encode(source.encode, target.encode, max_length, words)

    def encode(line: str) -> list[int]:
        ids = source.encode(tag + line)
        return source.closed(ids, source.eos_id) if ids else []

    def encode_target(line: str) -> list[int]:
        ids = target.encode(line)
        return [*first, *ids] if ids else []

    def find(line: str, ids: Sequence[int]) -> list[int]:
        assert words is not None
        return source.closed(words[0](tag + line, source.encode(tag + line)), -1)

    def find_target(line: str, ids: Sequence[int]) -> list[int]:
        assert words is not None
        return [-1] * len(first) + list(words[1](line, ids[len(first) :]))

    return text.encode(encode, encode_target, max_length, None if words is None else (find, find_target))


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
        source_eos=not _marks(source)[1] and _ends_plainly(source),
        source_end=source.eos_id,
        **options,
    )


def _marks(source: Tokenizer) -> tuple[str, list[int]]:
    """What a source begins with, as text, and a target, as ids, in a model whose tokenizers say both languages."""
    if not isinstance(source, TaggedTokenizer) or not source.inner.marks_both:
        return "", []
    inner = source.inner
    return f"{tag_of(inner.source_language)} ", [source.ids[inner.target_language]]


def _ends_plainly(tokenizer: Tokenizer) -> bool:
    """Whether a source is its tokens and the end token behind them."""
    return tokenizer.closed([1, 2], -1) == [1, 2, -1]
