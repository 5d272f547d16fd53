"""Errors that say which of the caller's inputs they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at(place: str) -> Iterator[None]:
    """Adds the place, such as "line 2", to the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{error} in {place}") from None
