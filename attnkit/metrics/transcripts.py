"""How well text is read from images: character and word error rates, by Levenshtein's distance."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Hashable, Sequence

from attnkit.metrics.lengths import check_lengths


def character_error_rate(texts: Sequence[str], references: Sequence[str]) -> float:
    """Characters to insert, delete or replace to get from the texts to the references, in percent of the characters of
    all references: over 100 is possible. Case and punctuation count; white space in a row counts as one space, and
    letters with accents as one character however they are written (NFC).

    Raises ValueError for other numbers of either, and for references without a character.
    """
    return _error_rate("cer", texts, references, list)


def word_error_rate(texts: Sequence[str], references: Sequence[str]) -> float:
    """The same of words: what white space parts."""
    return _error_rate("wer", texts, references, str.split)


def _error_rate(name: str, texts: Sequence[str], references: Sequence[str], parts: Callable[[str], list[str]]) -> float:
    check_lengths(name, texts, references)
    edits = expected = 0
    for text, reference in zip(texts, references, strict=True):
        read, right = (parts(_plain(each)) for each in (text, reference))
        edits += distance(read, right)
        expected += len(right)
    if not expected:
        raise ValueError(f"[{name}] expected references with text, got empty ones")
    return 100.0 * edits / expected


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def distance(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Levenshtein's distance: the fewest insertions, deletions and replacements that make one of the other.

    A column of the table is two integers, a bit for each place that is one more, or one less, than the one above it
    (Myers, 1999; Hyyrö, 2003).
    """
    if not first:
        return len(second)
    where: dict[Hashable, int] = {}
    for place, each in enumerate(first):
        where[each] = where.get(each, 0) | 1 << place
    whole, last = (1 << len(first)) - 1, 1 << len(first) - 1
    more, less, found = whole, 0, len(first)
    for each in second:
        same = where.get(each, 0) | less
        diagonal = (((same & more) + more) ^ more) | same
        up = less | ~(diagonal | more) & whole
        down = more & diagonal
        found += bool(up & last) - bool(down & last)
        up = up << 1 | 1
        more = (down << 1 | ~(same | up)) & whole
        less = up & same & whole
    return found
