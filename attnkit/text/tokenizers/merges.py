"""The merges of a BPE model, done one by one, so that some can be left out (Provilkov, Emelianenko and Voita, 2020).

SentencePiece samples too, but its random numbers differ from process to process, whatever the seed: a run could not go
on to the same bytes, and the processes of one run would not read the same text.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

_BLOCK = 1 << 16  # draws at a time
_SELDOM = 1 << 28  # merges, of which one is left out even where a probability is next to nothing: nobody waits for it
_LONGEST = 16  # pieces of a word that is remembered: where no spaces are written, a word is a sentence
_REMEMBERED = 1 << 18  # words, and words with one merge less


class Drops:
    """Which of many merges are left out, each with the same probability.

    left: how many are kept before the next one that is not.
    """

    def __init__(self, random: np.random.Philox, dropout: float) -> None:
        self._gaps = _gaps(random, dropout)
        self.left = next(self._gaps)

    def __call__(self) -> bool:
        """Whether the next merge is left out."""
        if self.left:
            self.left -= 1
            return False
        self.next()
        return True

    def next(self) -> None:
        """The next one that is left out is over."""
        self.left = next(self._gaps)


def _dropped(place: int) -> list[bool]:
    """Choices up to the merge at this place, which is left out."""
    return [*[False] * place, True] if place >= 0 else []


def _gaps(random: np.random.Philox, dropout: float) -> Iterator[int]:
    limit, kept = np.uint64(min(int(dropout * 2.0**64), 2**64 - 1)), 0
    while True:
        places = np.flatnonzero(random.random_raw(_BLOCK) < limit)
        if not len(places) and kept < _SELDOM:
            kept += _BLOCK
            continue
        if not len(places):
            places = np.zeros(1, np.int64)
        gaps = np.diff(places, prepend=-1) - 1
        gaps[0] += kept
        yield from gaps.tolist()
        kept = _BLOCK - 1 - int(places[-1])


class _Cut(NamedTuple):
    """How a word is cut where some merges are left out. ids: its pieces. merges: how many more are tried, and must be
    kept for this; none for a word with characters that the vocabulary does not have, which stays as it is."""

    ids: list[int]
    merges: int


class Merges:
    """A vocabulary of pieces, which are merged from characters: the best first, of equal ones the first of the text."""

    def __init__(self, pieces: Mapping[str, tuple[int, float]], find: Callable[[str], int], start: str) -> None:
        """The id and the score of each piece that can be merged; the id of any piece; what a word's first piece begins
        with."""
        self._pieces, self._find, self._start = pieces, find, start
        self._known: dict[tuple[tuple[str, ...], int], _Cut] = {}

    def cut(self, pieces: Sequence[str], drops: Drops) -> list[int]:
        """The ids of a text, which is these pieces without dropout."""
        ids: list[int] = []
        begins = [place for place, piece in enumerate(pieces) if piece.startswith(self._start) and place]
        for begin, end in zip([0, *begins], [*begins, len(pieces)], strict=True):
            ids += self._word(tuple(pieces[begin:end]), drops)
        return ids

    def _word(self, word: tuple[str, ...], drops: Drops) -> list[int]:
        """Most words lose no merge or one, and are known by its place."""
        found = self._cut(word, -1)
        if found.merges > drops.left:
            place = drops.left
            drops.next()
            found = self._cut(word, place)
            if found.merges > drops.left:
                return self._ids(self._merged("".join(word), itertools.chain(_dropped(place), iter(drops, None))))
        drops.left -= found.merges
        return found.ids

    def _cut(self, word: tuple[str, ...], place: int) -> _Cut:
        """With the merge at this place left out alone; none for -1."""
        found = self._known.get((word, place))
        if found is None:
            tried = itertools.count()
            choices = itertools.chain(_dropped(place), itertools.repeat(False))
            pieces = self._merged("".join(word), (choice for choice, _ in zip(choices, tried)))  # noqa: B905 (endless)
            merges = next(tried) - (place + 1)
            if place < 0 and (tuple(pieces) != word or not all(piece in self._pieces for piece in word)):
                found = _Cut([self._find(piece) for piece in word], 0)
            else:
                found = _Cut(self._ids(pieces), merges)
            if len(word) <= _LONGEST and len(self._known) < _REMEMBERED:
                self._known[word, place] = found
        return found

    def _ids(self, pieces: Sequence[str]) -> list[int]:
        return [self._pieces[piece][0] for piece in pieces]

    def _merged(self, text: str, leaves_out: Iterator[bool]) -> list[str]:
        symbols, count = list(text), len(text)
        before, after = list(range(-1, count - 1)), list(range(1, count + 1))
        agenda: list[tuple[float, int, int, int]] = []

        def consider(left: int, right: int) -> None:
            if left >= 0 and right < count:
                piece = symbols[left] + symbols[right]
                if (found := self._pieces.get(piece)) is not None:
                    heapq.heappush(agenda, (-found[1], left, right, len(piece)))

        for place in range(1, count):
            consider(place - 1, place)
        while agenda:
            _, left, right, size = heapq.heappop(agenda)
            one, other = symbols[left], symbols[right]
            if not one or not other or len(one) + len(other) != size or next(leaves_out):
                continue
            symbols[left], symbols[right] = one + other, ""
            after[left] = after[right]
            if after[right] < count:
                before[after[right]] = left
            consider(before[left], left)
            consider(left, after[left])
        return [symbol for symbol in symbols if symbol]
