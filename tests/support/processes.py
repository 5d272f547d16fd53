"""A group whose processes are threads of this one: what they say to each other is pickled, as between real ones."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_PATIENCE = 30  # seconds for which a process waits for the others


class Threads:
    """`run` is the life of the group; inside, each thread has its own rank."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._own = threading.local()
        self._barrier = threading.Barrier(size)
        self._said: list[bytes] = [b""] * size

    @property
    def rank(self) -> int:
        rank: int = self._own.rank
        return rank

    def broadcast(self, value: T) -> T:
        return self.gather(value)[0]

    def gather(self, value: T) -> list[T]:
        self._said[self.rank] = pickle.dumps(value)
        self._barrier.wait(_PATIENCE)
        values = [pickle.loads(said) for said in self._said]
        self._barrier.wait(_PATIENCE)
        return values

    def run(self, function: Callable[[], Any]) -> list[Any]:
        """What `function` returns or raises on each process, by rank; BrokenBarrierError for one that waits in vain."""
        results: list[Any] = [None] * self.size

        def live(rank: int) -> None:
            self._own.rank = rank
            try:
                results[rank] = function()
            except BaseException as error:
                results[rank] = error

        threads = [threading.Thread(target=live, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results
