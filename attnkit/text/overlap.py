"""Which pieces of a text cover which others, where two tokenizers cut the same text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_MARKS = re.compile(r"[\s\u2581]+")  # spaces, and SentencePiece's sign for one
_ONE = re.compile(r"<unk>|<0x[0-9A-Fa-f]{2}>")  # names that stand for a character, not for the letters that they have


def overlap(
    pieces: Sequence[str], words: Sequence[int], others: Sequence[str], other_words: Sequence[int]
) -> npt.NDArray[np.float32]:
    """The share of each of the N pieces that each of the M others covers, [N, M]; rows sum to one.

    words, other_words: the word of the text that each belongs to, -1 for none (`attnkit.text.word_pieces`): such a
    piece has a row, or a column, of zeros. Within a word, pieces lie one behind the other by their characters; one that
    has none, a lone space say, stands for its whole word.
    """
    begin, end = _places(pieces, words)
    other_begin, other_end = _places(others, other_words)
    shared = np.maximum(0.0, np.minimum(end[:, None], other_end) - np.maximum(begin[:, None], other_begin))
    total = shared.sum(axis=1, keepdims=True)
    share: npt.NDArray[np.float64] = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return share.astype(np.float32)


def _places(pieces: Sequence[str], words: Sequence[int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where each piece begins and ends, word i of the text lying from i to i + 1; nowhere for one of no word."""
    lengths = [len(_ONE.sub("?", _MARKS.sub("", piece))) for piece in pieces]
    total: Counter[int] = Counter()
    for word, length in zip(words, lengths, strict=True):
        total[word] += length
    done: Counter[int] = Counter()
    places = np.zeros((2, len(pieces)))
    for number, (word, length) in enumerate(zip(words, lengths, strict=True)):
        if word < 0:
            continue
        before, done[word] = done[word], done[word] + length
        inside = (before / total[word], done[word] / total[word]) if length else (0.0, 1.0)
        places[:, number] = word + inside[0], word + inside[1]
    return places[0], places[1]
