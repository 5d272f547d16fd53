"""Sentences that are too long for a model, cut where it hurts least."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from attnkit.text.sentences import Span

# Best first: behind a semicolon or colon, behind a comma, at white space.
_PLACES = tuple(re.compile(each) for each in (r"[;:؛](?=\s)|[；：]", r"[,،](?=\s)|[，、]", r"\s+"))
_JOINERS = "\u200d\ufe0e\ufe0f"


def split_long(text: str, span: Span, fits: Callable[[int, int], bool]) -> list[Span]:
    """A span as parts, without white space at their ends, for which fits(start, end); a part of one character stays as
    it is.

    It is halved until all parts fit, each time at the best place of its middle half, and of these nearest the middle.
    """
    parts: list[Span] = []
    waiting = [span]
    while waiting:
        start, end = waiting.pop()
        if end - start <= 1 or fits(start, end):
            parts.append((start, end))
            continue
        cut = _best_place(text, start, end)
        halves = _trimmed(text, start, cut), _trimmed(text, cut, end)
        waiting += [(begin, stop) for begin, stop in reversed(halves) if begin < stop]
    return parts


def _best_place(text: str, start: int, end: int) -> int:
    quarter, middle = (end - start) // 4, (start + end) // 2
    for place in _PLACES:
        cuts = [match.end() for match in place.finditer(text, start + quarter, end - quarter)]
        if cuts:
            return min(cuts, key=lambda cut: abs(cut - middle))
    # Writing without spaces, or no text at all: not between a letter and its marks.
    before = next((cut for cut in range(middle, start, -1) if not _joined(text, cut)), None)
    return before or next((cut for cut in range(middle, end) if not _joined(text, cut)), middle)


def _joined(text: str, cut: int) -> bool:
    return unicodedata.category(text[cut])[0] == "M" or bool({text[cut], text[cut - 1]} & {*_JOINERS})


def _trimmed(text: str, start: int, end: int) -> Span:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), start + len(part.rstrip())
