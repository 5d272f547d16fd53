"""Which word of a text each of its pieces belongs to. Words are what white space separates."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnkit.text.forced import Forced
from attnkit.text.languages import split_tag
from attnkit.text.tokenizers.base import Tokenizer
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.tokenizers.vocabulary import WORD_START

if TYPE_CHECKING:
    from attnkit.text.corpus import WordFinder


def word_finders(tokenizers: TokenizerPair) -> tuple[WordFinder, WordFinder]:
    """`words_read` of the source's and of the target's tokenizer."""
    return functools.partial(words_read, tokenizers.source), functools.partial(words_read, tokenizers.target)


def words_read(tokenizer: Tokenizer, text: str, ids: Sequence[int]) -> list[int]:
    """The word of each of the ids that a text became. The tag of a language is no word where the tokenizer knows it as
    one: -1."""
    if isinstance(tokenizer, TaggedTokenizer):
        language, rest = split_tag(text)
        if language is not None and ids:
            return [-1, *words_read(tokenizer.inner, rest, ids[1:])]
    words = text.split()
    if (found := _by_marks(tokenizer, len(words), ids)) is not None:
        return found
    # Words become ids one by one, whatever tokenizer it is that cuts at white space.
    lengths = [len(tokenizer.encode(word)) for word in words]
    if sum(lengths) != len(ids):
        # Of others, that have ids for spaces say, it is known how many there are up to the end of each word.
        ends = np.minimum([len(tokenizer.encode(text[:end])) for end in _ends(words, text)], len(ids))
        lengths = np.diff(np.maximum.accumulate([0, *ends])).tolist()
    of_each: list[int] = np.repeat(np.arange(len(words)), lengths).tolist()
    return of_each + [len(words) - 1] * (len(ids) - len(of_each))


def _ends(words: Sequence[str], text: str) -> Iterator[int]:
    """Where each word of a text ends."""
    end = 0
    for word in words:
        end = text.index(word, end) + len(word)
        yield end


def words_written(tokenizer: Tokenizer, text: str, ids: Sequence[int], given: Forced) -> list[int]:
    """The word of each of the ids that became a text, which begins with what was given; -1 before any text."""
    if not given.ids and (found := _by_marks(tokenizer, len(text.split()), ids)) is not None:
        return found
    words = words_read(tokenizer, given.text, given.ids) if given.ids else []
    # A text ends in the word of its last piece.
    ends = range(len(words) + 1, len(ids) + 1)
    return words + [len(given.whole(ids[:end], tokenizer).split()) - 1 for end in ends]


def _by_marks(tokenizer: Tokenizer, words: int, ids: Sequence[int]) -> list[int] | None:
    """As the pieces themselves say: by their marks, which the first may be without (byte-level BPE marks spaces), or
    because there are as many pieces as words. None where they do not."""
    starts = np.array([piece.startswith(WORD_START) for piece in tokenizer.pieces(ids)], bool)
    if starts.any():
        starts[0] = True
    if starts.any() and starts.sum() == words:
        return list((np.cumsum(starts) - 1).tolist())
    return list(range(words)) if len(ids) == words else None
