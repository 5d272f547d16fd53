"""How far a long measurement is."""

from __future__ import annotations

from collections.abc import Callable

Done = Callable[[int], object]
"""Called after each batch with the number of examples in it; may raise, where the work is to end."""


def unseen(count: int) -> None:
    """A `Done` that nobody looks at."""
