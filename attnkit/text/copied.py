"""Unknown tokens of an output, replaced by what they look at in the source (Jean et al., 2015; Luong et al., 2015)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from attnkit.text.forced import Forced
from attnkit.text.tokenizers.base import Tokenizer

_WORD_START = "\u2581"
_NO_TEXT = "\U0010fffd"  # a character for private use: no vocabulary has it


def knows_all(tokenizer: Tokenizer) -> bool:
    """Whether nothing is unknown to a tokenizer, because it spells what it lacks as bytes."""
    return not tokenizer.unknown(_NO_TEXT)


def copies(
    attention: npt.NDArray[np.float32],
    names: Sequence[str],
    words: Sequence[int],
    line: Sequence[str],
    unknown: dict[int, str],
) -> list[str]:
    """What each of N tokens looks at most, in the source's own letters.

    attention [N, M]; names [M], words [M]: the tokens of the source, and which of the words of the line each belongs
    to, -1 for none, which is not looked at; unknown: the text of those that the vocabulary lacks, by their places.
    A token is taken as it is where tokens are words; a piece stands for its word, without the signs around it.
    """
    own = np.flatnonzero(np.asarray(words) >= 0)
    if not len(own):
        return [""] * len(attention)
    pieces = any(name.startswith(_WORD_START) for name in names)

    def text(place: int) -> str:
        if place in unknown:
            return unknown[place]
        if not pieces:
            return names[place]
        return _bare(line[words[place]]) if words[place] < len(line) else names[place].removeprefix(_WORD_START)

    return [text(int(own[row[own].argmax()])) for row in attention]


def filled(tokenizer: Tokenizer, ids: Sequence[int], given: Forced, texts: Sequence[str]) -> str:
    """`given.whole(ids, tokenizer)`, the unknown tokens behind what was given replaced by texts, in order."""
    names = tokenizer.pieces(ids)
    count, replaced = len(given.ids), iter(texts)
    if any(name.startswith(_WORD_START) for name in names):
        rest = "".join(
            next(replaced) if id == tokenizer.unk_id else name.replace(_WORD_START, " ")
            for id, name in zip(ids[count:], names[count:], strict=True)
        )
        return given.text + rest.rstrip() if count else rest.strip()
    # Words and characters have a name for the unknown, which stands in the text.
    unknown = tokenizer.pieces([tokenizer.unk_id])[0]
    start, *parts = (tokenizer.continuation(ids, count) if count else tokenizer.decode(ids)).split(unknown)
    return (given.text if count else "") + start + "".join(next(replaced, unknown) + part for part in parts)


def _bare(word: str) -> str:
    """A word without signs at its ends; one of signs alone as it is."""
    begin, end = 0, len(word)
    while begin < end and unicodedata.category(word[begin])[0] in "PS":
        begin += 1
    while end > begin and unicodedata.category(word[end - 1])[0] in "PS":
        end -= 1
    return word[begin:end] or word
