"""One training, disturbed in one way some times, until it is done."""

from __future__ import annotations

from pathlib import Path
from random import Random

from kills import disks, ways
from kills.training import Training

KILLS = ("random", "slow", "calls")
WAYS = (*KILLS, "failing", "full")


def why_not(way: str) -> str | None:
    return ways.why_not("calls" if way == "failing" else way)


def disturb(way: str, training: Training, seed: int, kills: int = 3) -> tuple[int, list[str]]:
    """→ how often it was disturbed, and what is wrong."""
    rng, out = Random(f"{way} {training.task} {seed}"), training.work / f"{training.task}-{way}-{seed}"
    if way == "failing":
        return 1, disks.failing_call(training, out, rng)
    if way == "full":
        return 1, disks.full_disk(training, out, rng)
    return _kill(way, training, out, rng, kills)


def _kill(way: str, training: Training, out: Path, rng: Random, kills: int) -> tuple[int, list[str]]:
    faults: list[str] = []
    for killed in range(kills):
        if ways.kill(way, training, out, rng):
            return killed, faults + training.faults_at_the_end(out)
        faults += training.faults_after_a_kill(out)
    again = training.go_on(out)
    if again.status:
        return kills, [*faults, f"{training.task}: does not go on: {again.last_line}"]
    return kills, faults + training.faults_at_the_end(out)
