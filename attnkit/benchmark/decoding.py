"""Timing models that write: throughput, latency of one input at a time, memory, load time, cold start."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnkit.benchmark.roof import shares_of_roof
from attnkit.benchmark.runner import Contestant, in_turn, started


@dataclass(frozen=True)
class DecodingMeasurement:
    """The runs of one contestant.

    seconds: of all inputs, one number a run; units: what that writes (tokens) or reads (images, words). latencies: of
    one input at a time, all runs together. load_seconds: of the model, once the library is imported. cold_seconds: from
    the start of a process to its first result. peak_bytes: the largest resident memory. of_roof: the share of the time
    that large products would take for all inputs (`attnkit.benchmark.roof`); None where nobody knows it.
    """

    name: str
    seconds: tuple[float, ...]
    units: int
    latencies: tuple[float, ...]
    load_seconds: tuple[float, ...]
    cold_seconds: tuple[float, ...]
    peak_bytes: int
    of_roof: float | None = None

    @property
    def units_per_second(self) -> float:
        return self.units / statistics.median(self.seconds)

    def latency(self, percent: int) -> float:
        return float(np.percentile(self.latencies, percent))


def measure_decoding(
    contestants: list[Contestant],
    units: int,
    runs: int,
    progress: Callable[[str], None] = lambda message: None,
    roof: Sequence[Contestant] = (),
) -> list[DecodingMeasurement]:
    """Every contestant `runs` times after one that does not count, and `runs` cold starts of each, all in turn. roof:
    `roof_contestants`."""
    cold = _cold_starts(contestants, runs, progress)
    progress(f"preparing {', '.join(each.name for each in contestants)}")
    with started([*contestants, *roof]) as processes:
        answers = in_turn(processes, runs, 1, progress)
        loads = [process.ready["load_seconds"] for process in processes[: len(contestants)]]
    named = {contestant.name: kept for contestant, kept in zip(contestants, answers, strict=False)}
    shares = shares_of_roof(named, answers[-1] if roof else ())
    return [
        DecodingMeasurement(
            contestant.name,
            tuple(answer["seconds"] for answer in kept),
            units,
            tuple(latency for answer in kept for latency in answer["latencies"]),
            (load, *(start["load_seconds"] for start in starts)),
            tuple(start["cold_seconds"] for start in starts),
            max(answer["peak_bytes"] for answer in kept),
            shares.get(contestant.name),
        )
        for contestant, kept, load, starts in zip(contestants, named.values(), loads, cold, strict=True)
    ]


def _cold_starts(
    contestants: list[Contestant], runs: int, progress: Callable[[str], None]
) -> list[list[dict[str, float]]]:
    """From the start of a new process to its first result, in turn; files are in the system's cache."""
    starts: list[list[dict[str, float]]] = [[] for _ in contestants]
    for turn in range(runs):
        progress(f"cold start {turn + 1} of {runs}")
        for contestant, kept in zip(contestants, starts, strict=True):
            kept.append(_cold_start(contestant))
    return starts


def _cold_start(contestant: Contestant) -> dict[str, float]:
    begin = time.perf_counter()
    command = [*contestant.command(), "once"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **contestant.environment}, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return {"load_seconds": answer["load_seconds"], "cold_seconds": time.perf_counter() - begin}
