"""The threads that decode: they live as long as the process and serve runs by turns, a job at a time.

Ctrl-C raises KeyboardInterrupt in the main thread, wherever that is. The locks of `threading` and `concurrent.futures`
are written in Python and do not bear it: from the wait for a future it could come out as a RuntimeError, and where a
thread object was being freed it was lost. So no thread ends with a run, and runs and workers meet in a `SimpleQueue`
alone, which is written in C.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Run(Generic[R]):
    """Jobs, of which several workers may do one each at a time, and what came of them."""

    def __init__(self, jobs: Sequence[Callable[[], R]]) -> None:
        self._count = len(jobs)
        self._left = deque(enumerate(jobs))
        self._done: SimpleQueue[tuple[int, Any, BaseException | None] | None] = SimpleQueue()

    def results(self) -> Iterator[R]:
        """What the jobs return, in their order; what one raises is raised in its place."""
        early: dict[int, tuple[Any, BaseException | None]] = {}
        for number in range(self._count):
            while number not in early:
                if outcome := self._done.get():
                    early[outcome[0]] = outcome[1:]
            result, error = early.pop(number)
            if error is not None:
                raise error
            yield result

    def serve(self) -> bool:
        """Does a job. False if there is none left."""
        try:
            number, job = self._left.popleft()
        except IndexError:
            return False
        try:
            self._done.put((number, job(), None))
        except BaseException as error:  # it belongs to whoever waits for this job
            self._done.put((number, None, error))
        return True

    def give_up(self) -> None:
        self._left.clear()

    def wake(self) -> None:
        self._done.put(None)

    def sleep(self) -> None:
        """Until a worker is done with something, or a moment."""
        with suppress(Empty):
            self._done.get(timeout=0.1)


class _Crew:
    def __init__(self) -> None:
        self.hiring = threading.Lock()
        self.workers: list[threading.Thread] = []
        self.runs: SimpleQueue[Run[Any]] = SimpleQueue()
        self.busy: dict[int, Run[Any]] = {}  # by the worker's identity
        self.closed = False

    def work(self) -> None:
        me = threading.get_ident()
        while True:
            run = self.runs.get()
            self.busy[me] = run
            more = not self.closed and run.serve()
            del self.busy[me]
            run.wake()
            if more:
                self.runs.put(run)
            del run  # else it would live until the next one comes


_crew = _Crew()


def set_to_work(run: Run[Any], workers: int) -> None:
    """Sets that many workers to a run, at once or when they are done with a job of another."""
    crew = _crew
    with crew.hiring:
        while len(crew.workers) < workers:
            name = f"attnkit-decoding_{len(crew.workers)}"
            worker = threading.Thread(target=crew.work, name=name, daemon=True)
            worker.start()
            crew.workers.append(worker)
    for _ in range(workers):
        crew.runs.put(run)


def end(run: Run[Any]) -> None:
    """Returns when nobody works at this run any more and nobody will. Jobs that are being done are waited for."""
    run.give_up()
    while run in _crew.busy.copy().values():
        run.sleep()


def busy() -> int:
    """How many workers are at a job."""
    return len(_crew.busy)


@atexit.register
def _close() -> None:
    """A thread that came out of a kernel while Python ends would bring the process down."""
    _crew.closed = True
    for run in _crew.busy.copy().values():
        end(run)


def _after_fork() -> None:
    """A child has none of its parent's threads."""
    global _crew
    _crew = _Crew()


os.register_at_fork(after_in_child=_after_fork)
