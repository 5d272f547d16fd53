"""Runs contestants side by side and compares them.

Every contestant is a process of its own that prepares its work, then answers each line "run" on its standard input with
one JSON line. Runs go in turn (A B C A B C ...), so that a machine whose speed drifts is equally fast for all.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

PAUSE_SECONDS = 0.05  # lets the threads of the one before stop spinning


@dataclass(frozen=True)
class Contestant:
    """name: shown in tables. module and arguments: what its process runs. environment: added to that of this one."""

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """The runs of one contestant. seconds: one number a run. units: what a run gets through (target tokens, images).

    peak_bytes: the largest resident memory of its process.
    """

    name: str
    seconds: tuple[float, ...]
    units: int
    peak_bytes: int

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def units_per_second(self) -> float:
        return self.units / self.median


class _Process:
    """A contestant that is running."""

    def __init__(self, contestant: Contestant) -> None:
        self.name = contestant.name
        command = [sys.executable, "-m", contestant.module, *contestant.arguments]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **contestant.environment},
        )

    def prepare(self) -> None:
        """Waits until it says that it is ready."""
        self._answer()

    def run(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # the answer says how it ended
            print("run", file=self._process.stdin, flush=True)
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
def _started(contestants: list[Contestant]) -> Iterator[list[_Process]]:
    with ExitStack() as stack:
        processes = []
        for contestant in contestants:
            process = _Process(contestant)
            stack.callback(process.close)
            process.prepare()
            processes.append(process)
        yield processes


def measure(
    contestants: list[Contestant], runs: int, warmup: int = 1, progress: Callable[[str], None] = lambda message: None
) -> list[Measurement]:
    """Runs every contestant `runs` times after `warmup` runs that do not count, in turn."""
    progress(f"preparing {', '.join(c.name for c in contestants)}")
    with _started(contestants) as processes:
        answers: list[list[dict[str, Any]]] = [[] for _ in processes]
        for turn in range(warmup + runs):
            progress(f"run {turn - warmup + 1} of {runs}" if turn >= warmup else "warming up")
            for process, kept in zip(processes, answers, strict=True):
                time.sleep(PAUSE_SECONDS)
                answer = process.run()
                if turn >= warmup:
                    kept.append(answer)
    return [
        Measurement(c.name, tuple(a["seconds"] for a in kept), kept[-1]["units"], max(a["peak_bytes"] for a in kept))
        for c, kept in zip(contestants, answers, strict=True)
    ]


def serve(run: Callable[[], None], units: int) -> None:
    """The contestant's side: says that it is ready, then times one call for each line it reads."""
    import resource

    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        run()
        seconds = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "units": units, "peak_bytes": peak}), flush=True)
