"""Lines of a stream, taken some at a time, so that what is sorted and held at once has a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

MAX_CHARACTERS = 1 << 24
"""Of the texts of a window: two thousand lines of any length that may be read would fill all memory."""


def windows(items: Iterable[T], count: int, text: Callable[[T], object]) -> Iterator[list[T]]:
    """The items in lists of `count`, in their order; a list ends sooner when its texts have `MAX_CHARACTERS` in all.
    text: that of an item; one that is no text counts nothing here."""
    window: list[T] = []
    size = 0
    for item in items:
        window.append(item)
        size += len(line) if isinstance(line := text(item), str) else 0
        if len(window) == count or size >= MAX_CHARACTERS:
            yield window
            window, size = [], 0
    if window:
        yield window
