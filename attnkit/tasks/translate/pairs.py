"""Sentence pairs as a translation model reads them: between its own start and end tokens, and in batches."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnkit.tasks.translate.languages import Languages
from attnkit.text.batching import BatchIterator
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus, WordFinder
from attnkit.text.languages import add_tag
from attnkit.text.tokenizers.base import Tokenizer
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.word_pieces import words_read

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
    sides have the token of their language (`Tokenizer.marks_both`), that of the target is its first: what the model
    learns to write, and what a search gives it.
    """
    source, target = tokenizers.source, tokenizers.target
    languages = Languages(source)
    if languages.both and isinstance(source, TaggedTokenizer):
        text, target = _marked(text, languages), TaggedTokenizer(target, source.ids)
        words = None if words is None else (words[0], functools.partial(words_read, target))
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


def _marked(text: ParallelCorpus, languages: Languages) -> ParallelCorpus:
    """The pairs with a tag on both sides, of their own languages; links are between the same words. Raises ValueError
    where a source's tag, which says the target's language, names none."""
    direction, sources, targets = languages.direction(None, None), [], []
    for number, (source, target) in enumerate(text, 1):
        sources.append(languages.read(direction, source, f"sentence pair {number}")[0])
        targets.append(add_tag(str(languages.said(direction, source)[0].to), target))
    return ParallelCorpus(sources, targets, text.report, text.links)


def _ends_plainly(tokenizer: Tokenizer) -> bool:
    """Whether a source is its tokens and the end token behind them."""
    return tokenizer.closed([1, 2], -1) == [1, 2, -1]
