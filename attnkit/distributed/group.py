"""The processes that train one model together. What they agree on goes through a `Group`; one process is one too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from attnkit.distributed.wire import Wire

T = TypeVar("T")
Item = TypeVar("Item")


class Group(Protocol):
    """rank: this process, from 0; size: how many there are; description: where they are, in words; stop_signals: by
    which the launcher asks for an end, beside the usual ones. Every method but `fail` is called by all processes, in
    one order."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def description(self) -> str: ...
    @property
    def stop_signals(self) -> tuple[int, ...]: ...

    def broadcast(self, value: T) -> T:
        """What rank 0 gave. What the others give is not looked at."""
        ...

    def gather(self, value: T) -> list[T]:
        """What every process gave, by rank, for all of them."""
        ...

    def begin_gather(self, value: T) -> Callable[[], list[T]]:
        """`gather` while this process goes on; the result waits for what the others gave."""
        ...

    def later(self, job: Callable[[Wire], T]) -> Future[T]:
        """Has the job done with the group's wire, in the order in which jobs are given, while this process goes on."""
        ...

    def wait_for_ever(self, patient: bool) -> None:
        """While `patient`, one may keep the others waiting for however long, as with a tokenizer to learn. Else all
        do the same at the same time, and no answer for minutes is a failure."""
        ...

    def collect(self, value: T) -> list[T]:
        """What every process gave, by rank, for rank 0; nothing for the others."""
        ...

    def interrupt(self, status: int) -> None:
        """All have stopped for a signal, and end with this status when they have said so."""
        ...

    def fail(self, status: int) -> None:
        """This process cannot go on, and the others do not know: when it ends, all are ended, with this status."""
        ...


class Alone:
    """The group of one process, which has nobody to agree with."""

    rank = 0
    size = 1
    description = "one process"
    stop_signals = ()

    def broadcast(self, value: T) -> T:
        return value

    def gather(self, value: T) -> list[T]:
        return [value]

    def begin_gather(self, value: T) -> Callable[[], list[T]]:
        return lambda: [value]

    def later(self, job: Callable[[Wire], T]) -> Future[T]:
        raise RuntimeError("[distributed] one process has no wire to others")

    def wait_for_ever(self, patient: bool) -> None:
        pass

    def collect(self, value: T) -> list[T]:
        return [value]

    def interrupt(self, status: int) -> None:
        pass

    def fail(self, status: int) -> None:
        pass


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
    """`function()` on every process. Where it raises on some, the first of these raises its own error, which then is
    `known_to_all`, and all others raise `ElsewhereError`: nobody waits for one that does not come. A `ForAll` is no
    error: where nothing worse happens, all raise the first one."""
    failure: BaseException | None = None
    try:
        result = function()
    except BaseException as error:
        failure = error
    told = group.gather(failure if isinstance(failure, ForAll) else _name(failure))
    for rank, name in enumerate(told):
        if isinstance(name, str):
            if failure is not None and rank == group.rank:
                failure.known_to_all = True  # type: ignore[attr-defined]
                raise failure
            raise failure if isinstance(failure, ElsewhereError) else ElsewhereError(rank, name) from None
    for wish in told:
        if isinstance(wish, ForAll):
            raise wish from None
    if failure is not None:
        raise failure
    return result


def _name(failure: BaseException | None) -> str | None:
    """Of an error of this process's own."""
    return None if failure is None or isinstance(failure, ElsewhereError) else type(failure).__name__


class ForAll(Exception):
    """No failure but a wish, to stop say: where one process raises it, all do. It is pickled to be sent to them."""


class ElsewhereError(RuntimeError):
    """Another process of the group could not go on; it says why itself."""

    def __init__(self, rank: int, what: str) -> None:
        super().__init__(f"[distributed] process {rank} cannot go on: {what}")
        self.rank = rank
