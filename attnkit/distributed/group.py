"""The processes that train one model together. What they agree on goes through a `Group`; one process is one too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


class Group(Protocol):
    """rank: this process, from 0; size: how many there are. Every method is called by all of them, in one order."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...

    def broadcast(self, value: T) -> T:
        """What rank 0 gave. What the others give is not looked at."""
        ...

    def gather(self, value: T) -> list[T]:
        """What every process gave, by rank, for all of them."""
        ...


class Alone:
    """The group of one process, which has nobody to agree with."""

    rank = 0
    size = 1

    def broadcast(self, value: T) -> T:
        return value

    def gather(self, value: T) -> list[T]:
        return [value]


def mine(group: Group, items: Sequence[Item]) -> Sequence[Item]:
    """The items that are this process's when they are shared out: every `size`-th one."""
    return items[group.rank :: group.size]


def in_order(group: Group, own: list[T]) -> list[T]:
    """The results of all items that `mine` shared out, in the order of the items, for all processes."""
    parts = group.gather(own)
    count = sum(map(len, parts))
    return [parts[number % group.size][number // group.size] for number in range(count)]


def shared(group: Group, items: Sequence[Item], work: Callable[[Sequence[Item]], list[T]]) -> list[T]:
    """`work(items)`, which gives a result for each item, done in shares: the results of all items, in their order, for
    all processes. Raises as `together` does."""
    return in_order(group, together(group, lambda: work(mine(group, items))))


def together(group: Group, function: Callable[[], T]) -> T:
    """`function()` on every process; where it raises on one, all raise: that one its own error, the others
    `ElsewhereError`, or the same where it is a `ForAll` and nothing worse happened.

    So a collective that follows is never waited for in vain.
    """
    results: list[T] = []
    failure: BaseException | None = None
    try:
        results.append(function())
    except BaseException as error:
        failure = error
    told = group.gather(failure if failure is None or isinstance(failure, ForAll) else type(failure).__name__)
    if failure is not None and not isinstance(failure, ForAll):
        raise failure
    for rank, what in enumerate(told):
        if isinstance(what, str):
            raise ElsewhereError(rank, what) from failure
    for wish in told:
        if isinstance(wish, ForAll):
            raise failure or wish
    return results[0]


class ForAll(Exception):
    """No failure but a wish, to stop say: where one process raises it, all do. It is pickled to be sent to them."""


class ElsewhereError(RuntimeError):
    """Another process of the group could not go on; it says why itself."""

    def __init__(self, rank: int, what: str) -> None:
        super().__init__(f"[distributed] process {rank} cannot go on: {what}")
        self.rank = rank
