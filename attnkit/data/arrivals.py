"""Lines as they arrive: a reader that knows when the next one would have to be waited for, and windows that end there.

Whoever writes to a pipe may wait for the answer to what was written before writing more. So a stream says `PAUSE`
before it waits, and what has been read by then is done.
"""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator
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


def arriving(stream: BinaryIO, ends: tuple[bytes, ...] = (b"\n",)) -> Iterator[bytes | Paused]:
    """The lines of a stream with their ends, and PAUSE wherever the next has not come yet. A line ends by the first of
    `ends` that the beginning of the stream has."""
    end, begun = b"", list[bytes]()
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
        begun.append(last)
    if rest := b"".join(begun):
        yield rest


def _is_ready(stream: BinaryIO) -> bool:
    """Whether there is something to read. What is no file of the system's, one in memory say, always has."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(_MOMENT))


def windows(items: Iterable[T | Paused], size: int) -> Iterator[list[tuple[int, T]]]:
    """The items with their numbers, `size` at a time or as many as are there before a PAUSE; none is empty."""
    window: list[tuple[int, T]] = []
    number = 0
    for item in items:
        if item is not PAUSE:
            window.append((number, item))
            number += 1
        if window and (item is PAUSE or len(window) == size):
            yield window
            window = []
    if window:
        yield window
