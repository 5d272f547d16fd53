"""Lines as they arrive: a reader that knows when the next one would have to be waited for, and windows that end there.

Whoever writes to a pipe may wait for the answer to what was written before writing more. So a stream says `PAUSE`
before it waits, and what has been read by then is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import BinaryIO, Final, Literal, TypeVar

T = TypeVar("T")
_PIECE = 1 << 16  # bytes
_MOMENT = 2  # milliseconds in which a program that writes as fast as it can fills an empty pipe again


class Pause(Enum):
    """The type of `PAUSE`."""

    PAUSE = "pause"


PAUSE: Final = Pause.PAUSE
"""In a stream of inputs: nothing more is there now."""

Paused = Literal[Pause.PAUSE]


def arriving(stream: BinaryIO, longest: int, ends: tuple[bytes, ...] = (b"\n",)) -> Iterator[bytes | Paused]:
    """The lines of a stream with their ends, and PAUSE wherever the next has not come yet. A line ends by the first of
    `ends` that the beginning of the stream has. Of a line of more than `longest` bytes, and its end, a part is given,
    for the caller to refuse."""
    end, begun, size = b"", list[bytes](), 0
    while True:
        if not _is_ready(stream):
            yield PAUSE
        piece = stream.read1(_PIECE)  # type: ignore[attr-defined]  # what is there, not more
        if not piece:
            break
        end = end or next((one for one in ends if one in piece), ends[-1])
        *lines, last = piece.split(end)
        for line in lines:
            yield b"".join([*begun, line, end])
            begun.clear()
            size = 0
        begun.append(last)
        size += len(last)
        if size > longest + 2:
            break
    if rest := b"".join(begun):
        yield rest


def _is_ready(stream: BinaryIO) -> bool:
    """Whether there is something to read. What is no file of the system's, one in memory say, always has."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError):
        return True
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(_MOMENT))


MAX_CHARACTERS = 1 << 24
"""Of the texts of a window: two thousand lines of any length that may be read would fill all memory."""


def characters(item: object) -> int:
    """Of a text; what is no text counts nothing."""
    return len(item) if isinstance(item, str) else 0


def windows(
    items: Iterable[T | Paused], size: int, length: Callable[[T], int] = characters
) -> Iterator[list[tuple[int, T]]]:
    """The items with their numbers, `size` at a time, or as many as are there before a PAUSE or have `MAX_CHARACTERS`
    in all; none is empty. length: that of an item."""
    window: list[tuple[int, T]] = []
    number = total = 0
    for item in items:
        if item is not PAUSE:
            window.append((number, item))
            number += 1
            total += length(item)
        if window and (item is PAUSE or len(window) == size or total >= MAX_CHARACTERS):
            yield window
            window, total = [], 0
    if window:
        yield window
