"""The sum of gradients over the processes that MPI has started: how long, how many bytes, how much processor time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from attnkit.benchmark.step_time import Link, messages, sent_bytes
from attnkit.distributed.group import Group
from attnkit.distributed.sums import sum_of

SIZES = (1 << 8, 1 << 12, 1 << 16, 1 << 20, 1 << 23)
"""Numbers of the arrays that are summed: 1 KB to 32 MB; gradients travel in buckets of 4 MB."""


@dataclass(frozen=True)
class Sum:
    """numbers: of the array. half: bfloat16 on the way. seconds: of each run, of the slowest process. processor:
    seconds of a process's processor, the mean of all."""

    processes: int
    numbers: int
    half: bool
    seconds: list[float]
    processor: float

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def rate(self) -> float:
        """Bytes a second that each process sends."""
        return sent_bytes(self.processes, self.numbers, self.half) / self.median


def measure_sums(
    group: Group, sizes: Sequence[int], runs: int, progress: Callable[[str], None] = lambda text: None
) -> list[Sum]:
    """Every size, in float32 and with half the bytes; called by all processes at once."""
    found = []
    for numbers in sizes:
        for half in (False, True):
            progress(f"{numbers:,} numbers, {'bf16' if half else 'fp32'}")
            found.append(_measure(group, numbers, half, runs))
    return found


def _measure(group: Group, numbers: int, half: bool, runs: int) -> Sum:
    add, array = sum_of(group.size, half), np.zeros(numbers, np.float32)
    seconds, processor = [], []
    for run in range(runs + 1):
        group.gather(None)
        begin, busy = time.perf_counter(), time.process_time()
        group.later(lambda wire: add(wire, array)).result()
        own = time.perf_counter() - begin, time.process_time() - busy
        slowest, spent = zip(*group.gather(own), strict=True)
        if run:  # the first one makes connections and touches memory
            seconds.append(max(slowest))
            processor.append(statistics.mean(spent))
    return Sum(group.size, numbers, half, seconds, statistics.median(processor))


def link_of(found: Sequence[Sum], half: bool = False) -> Link:
    """As these sums saw it: a message takes what the smallest took, the rate is that of the largest, and a processor's
    work alike. half: of sums in bfloat16, whose rate counts the conversion too."""
    own = sorted((each for each in found if each.half == half), key=lambda each: each.numbers)
    small, large = own[0], own[-1]
    rounds, sent = messages(small.processes)
    message, work_message = small.median / rounds, small.processor / sent
    moved = sent_bytes(large.processes, large.numbers, half)
    moving = max(large.median - rounds * message, 1e-9)
    return Link(message, moved / moving, work_message, max(large.processor - sent * work_message, 0.0) / moved)
