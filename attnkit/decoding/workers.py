"""Batches decoded side by side: a thread each, and one thread for the kernels of each.

Waking threads for every small kernel of a step costs more than the kernels do, so threads take whole batches. They are
threads and not processes: kernels run without the GIL, and all read one copy of the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from attnkit import _core
from attnkit.decoding.crew import Run, end, set_to_work

_CPU = "cpu"

T = TypeVar("T")
R = TypeVar("R")

_FEWEST_TOKENS = 128  # of the input, that are worth a batch of their own


class Stop:
    """Tells the workers that nobody waits for their results any more; a search asks before each step."""

    __slots__ = ("requested",)

    def __init__(self) -> None:
        self.requested = False


class Stopped(Exception):
    """A search was given up."""


def workers_on(device: str) -> int:
    """How many batches are decoded at once where a model lies: one for each thread of the CPU. Any other device has
    units enough for one batch alone, and would do the work of several by turns."""
    return _core.get_num_threads() if device == _CPU else 1


def run_batches(decode: Callable[[T, Stop], R], batches: Sequence[T], device: str = _CPU) -> Iterator[R]:
    """decode(batch, stop) of each batch, in order, on as many workers as there are threads; of a model on a device
    that is not the CPU, one batch behind the other.

    One batch alone has all threads for its kernels. When the iterator is closed or interrupted, no further batch is
    begun and those that run end at their next step.
    """
    stop = Stop()
    threads = _core.get_num_threads()
    workers = min(workers_on(device), len(batches))
    if workers <= 1:
        yield from (decode(batch, stop) for batch in batches)
        return

    def alone(batch: T) -> R:
        _core.limit_threads_here(threads // workers)
        return decode(batch, stop)

    run = Run([partial(alone, batch) for batch in batches])
    try:
        set_to_work(run, workers)
        yield from run.results()
    finally:
        stop.requested = True
        end(run)


def fair_share(size: int, largest: int, fewest: int = _FEWEST_TOKENS, device: str = _CPU) -> int:
    """How much of a window of `size`, in tokens or whatever it is counted in, a batch takes: at most `largest`, and so
    little that every worker has a batch, though not less than the `fewest` that are worth one."""
    share = -(-size // workers_on(device))
    return min(largest, max(share, fewest))
