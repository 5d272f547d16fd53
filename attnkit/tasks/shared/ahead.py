"""What will be needed, made by a worker while the thread that will need it does something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from attnkit.decoding.crew import Run, end, set_to_work

T = TypeVar("T")


class Ahead(Generic[T]):
    """What `make` returns. Whoever makes one ends it, and until then asks for the result."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._run = Run([make])
        self._made: list[T] = []
        set_to_work(self._run, 1)

    def result(self) -> T:
        """Raises what `make` raises, once."""
        if not self._made:
            self._run.serve()  # where all workers are busy with what others want
            self._made.extend(self._run.results())
        return self._made[0]

    def end(self) -> None:
        """Returns when nobody works at it any more and nobody will."""
        end(self._run)
