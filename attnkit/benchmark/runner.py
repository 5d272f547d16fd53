"""Runs contestants side by side and compares them.

Every contestant is a process of its own that prepares its work, then answers each line of its standard input, a
request, by one JSON line. Runs go in turn (A B C A B C ...), so that a machine whose speed drifts is as fast for all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from attnkit.benchmark.roof import shares_of_roof

PAUSE_SECONDS = 0.05  # lets the threads of the one before stop spinning


@dataclass(frozen=True)
class Contestant:
    """name: shown in tables. module and arguments: what its process runs. environment: added to that of this one.

    python: another Python, for a module that needs one. It has no attnkit, and runs the module by its file.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    python: str | None = None

    def command(self) -> list[str]:
        if self.python is None:
            return [sys.executable, "-m", self.module, *self.arguments]
        return [self.python, file_of(self.module), *self.arguments]


@dataclass(frozen=True)
class Measurement:
    """The runs of one contestant. seconds: one number a run. units: what a run gets through (target tokens, images).

    peak_bytes: the largest resident memory of its process. of_roof: the share of the time that large products would
    take (`attnkit.benchmark.roof`); None where nobody knows it.
    """

    name: str
    seconds: tuple[float, ...]
    units: int
    peak_bytes: int
    of_roof: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def units_per_second(self) -> float:
        return self.units / self.median


def file_of(module: str) -> str:
    """Where a module of attnkit lies."""
    found = find_spec(module)
    assert found is not None and found.origin is not None
    return found.origin


class Process:
    """A contestant that is running. ready: what it said when it was prepared."""

    def __init__(self, contestant: Contestant) -> None:
        self.name = contestant.name
        self._process = subprocess.Popen(
            contestant.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **contestant.environment},
        )

        self.ready: dict[str, Any] = {}

    def prepare(self) -> None:
        """Waits until it says that it is ready."""
        self.ready = self._answer()

    def run(self, request: str = "run") -> dict[str, Any]:
        """Its answer to a request of one line, after a pause in which the others come to rest."""
        assert self._process.stdin is not None
        time.sleep(PAUSE_SECONDS)
        with suppress(BrokenPipeError):  # the answer says how it ended
            print(request, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def started(contestants: list[Contestant]) -> Iterator[list[Process]]:
    """The contestants, prepared one after the other; they end with the context."""
    with ExitStack() as stack:
        processes = []
        for contestant in contestants:
            process = Process(contestant)
            stack.callback(process.close)
            process.prepare()
            processes.append(process)
        yield processes


def measure(
    contestants: list[Contestant],
    runs: int,
    warmup: int = 1,
    progress: Callable[[str], None] = lambda message: None,
    roof: Sequence[Contestant] = (),
) -> list[Measurement]:
    """Runs every contestant `runs` times after `warmup` runs that do not count, in turn. roof: `roof_contestants`."""
    progress(f"preparing {', '.join(c.name for c in contestants)}")
    with started([*contestants, *roof]) as processes:
        answers = in_turn(processes, runs, warmup, progress)
    named = {c.name: kept for c, kept in zip(contestants, answers, strict=False)}
    shares = shares_of_roof(named, answers[-1] if roof else ())
    return [
        Measurement(
            name,
            tuple(a["seconds"] for a in kept),
            kept[-1]["units"],
            max(a["peak_bytes"] for a in kept),
            shares.get(name),
        )
        for name, kept in named.items()
    ]


def in_turn(
    processes: list[Process],
    runs: int,
    warmup: int = 1,
    progress: Callable[[str], None] = lambda message: None,
    request: str = "run",
) -> list[list[dict[str, Any]]]:
    """The answers of each process to `runs` requests, after `warmup` requests that do not count."""
    answers: list[list[dict[str, Any]]] = [[] for _ in processes]
    for turn in range(warmup + runs):
        progress(f"run {turn - warmup + 1} of {runs}" if turn >= warmup else "warming up")
        for process, kept in zip(processes, answers, strict=True):
            answer = process.run(request)
            if turn >= warmup:
                kept.append(answer)
    return answers


def serve(
    run: Callable[[], None],
    units: int,
    finish: Callable[[], None] = lambda: None,
    more: Callable[[], dict[str, Any]] = dict,
) -> None:
    """The contestant's side: says that it is ready, then times one call for each line it reads. finish: waits for what
    the call only asked for, of a device that works by itself. more: what else there is to say behind a call."""

    def timed(request: str) -> dict[str, Any]:
        begin = time.perf_counter()
        run()
        finish()
        return {"seconds": time.perf_counter() - begin, "units": units, **more()}

    answer_requests(timed)


def answer_requests(answer: Callable[[str], dict[str, Any]], **ready: Any) -> None:
    """The contestant's side: says that it is ready, and what else is to be known, then answers each line it reads."""
    print(json.dumps({"ready": True, **ready}), flush=True)
    for line in sys.stdin:
        found = answer(line.strip())
        print(json.dumps({**found, "peak_bytes": peak_bytes()}), flush=True)


def peak_bytes() -> int:
    """The largest resident memory of this process. Linux starts ru_maxrss with that of the parent, VmHWM from zero."""
    import resource

    with suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
