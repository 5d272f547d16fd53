"""What a step of training costs over several processes, on paper, from what `attnkit bench allreduce` measures.

Assumed: one process a host, all hosts alike, and a switch that gives each its full rate at once. Every process computes
as long as one does alone. The gradients of backward come evenly, but for a tail that is complete only at its end, as an
embedding's is. Buckets go one after the other, as in `attnkit.distributed.gradients`.
"""

from __future__ import annotations

from dataclasses import dataclass

from attnkit.distributed.gradients import BUCKET

BACKWARD = 2 / 3
"""The share of a step that is backward, in which gradients can travel: it has twice the products of forward."""


@dataclass(frozen=True)
class Link:
    """What a process has of the network. message: seconds that a message takes, however short. rate: bytes a second,
    each way at once. work_message, work_byte: seconds of a processor for each message and byte that it sends."""

    message: float
    rate: float
    work_message: float = 0.0
    work_byte: float = 0.0

    def sum_seconds(self, processes: int, numbers: float, half: bool = False) -> float:
        """Of the sum of an array over the processes, while nothing else is to do."""
        if processes == 1:
            return 0.0
        rounds, sent = messages(processes)
        waiting = rounds * self.message + (sent - rounds) * self.work_message
        return waiting + sent_bytes(processes, numbers, half) / self.rate

    def work_seconds(self, processes: int, numbers: float, half: bool = False) -> float:
        """The processor's part of that."""
        sent = messages(processes)[1]
        return sent * self.work_message + sent_bytes(processes, numbers, half) * self.work_byte


def sent_bytes(processes: int, numbers: float, half: bool = False) -> float:
    """That each process sends, and receives, for the sum of so many numbers."""
    return 2 * (processes - 1) / processes * numbers * (2 if half else 4)


def messages(processes: int) -> tuple[int, int]:
    """Of one sum: the rounds that wait for each other, and how many messages each process sends.

    By a tree a message each round; otherwise in each of two rounds a message to each other process
    (`attnkit.distributed.sums`).
    """
    if processes & (processes - 1):
        return 2, 2 * (processes - 1)
    rounds = 2 * (processes.bit_length() - 1)
    return rounds, rounds


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step. compute: the arithmetic; work: of its processors, for sending and adding up; communication:
    of gradients on their way; exposed: of these, how long nobody computes."""

    compute: float
    work: float
    communication: float
    exposed: float

    @property
    def step(self) -> float:
        return self.compute + self.work + self.exposed

    @property
    def efficiency(self) -> float:
        """The work of all processes, as a share of what they would do if nothing had to travel."""
        return self.compute / self.step


def step_time(
    link: Link,
    processes: int,
    parameters: float,
    compute: float,
    *,
    half: bool = False,
    tail: float = 0.0,
    threads: int = 1,
) -> StepTime:
    """compute: seconds of a process's own arithmetic. tail: parameters whose gradients come last of all. threads: of a
    process, which share the work for the network."""
    sizes = _buckets(parameters - tail)
    begin, spread = compute * (1 - BACKWARD), compute * BACKWARD
    ready = done = total = work = 0.0
    for size in [*sizes, *_buckets(tail, whole=True)]:
        ready += size
        seconds = link.sum_seconds(processes, size, half)
        done = max(done, begin + spread * min(1.0, ready / max(parameters - tail, 1.0))) + seconds
        total += seconds
        work += link.work_seconds(processes, size, half) / threads
    return StepTime(compute, work, total, max(0.0, done - compute) if total else 0.0)


def _buckets(numbers: float, whole: bool = False) -> list[float]:
    """whole: one parameter, however large, travels in one bucket."""
    if whole:
        return [numbers] if numbers else []
    full, rest = divmod(numbers, BUCKET)
    return [float(BUCKET)] * int(full) + [rest] * (rest > 0)
