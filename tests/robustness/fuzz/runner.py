"""Makes cases of a kind from seeds, runs each, and tells what was found."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random

import children
from expected import known

from fuzz.job import Job

FILES = ("model", "image", "text", "toml", "idx", "convert", "marian", "pytorch", "ctranslate2")
KINDS = (*FILES, "ops")
OPS_AT_ONCE = 200


@dataclass(frozen=True)
class Finding:
    kind: str
    seed: int
    what: str

    def __str__(self) -> str:
        return f"{self.kind} {self.seed}: {self.what}"


@dataclass
class Tally:
    """What came of the cases of a kind; each fault is listed once."""

    cases: int = 0
    slowest: tuple[float, int] = (0.0, 0)  # seconds, and the seed
    memory: int = 0
    cpu: float = 0.0  # seconds
    found: dict[str, Finding] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)

    def add(self, finding: Finding) -> bool:
        """Whether it is new."""
        if (reason := known(finding.what)) is not None:
            self.known[reason] = self.known.get(reason, 0) + 1
            return False
        alike = "".join(" " if each.isdigit() else each for each in finding.what.split(";")[0])
        return self.found.setdefault(alike, finding) is finding


def run(kind: str, seed: int, seconds: float = float("inf"), cases: float = float("inf")) -> Tally:
    """Cases of successive seeds until the time or their number is over; new findings are printed at once."""
    tally, end = Tally(), time.monotonic() + seconds
    while time.monotonic() < end and tally.cases < cases:
        first = seed + tally.cases
        for finding in ops(first, tally) if kind == "ops" else files(kind, first, tally):
            if tally.add(finding):
                print(f"found {finding}\n  again: ./dev fuzz {kind} --replay {finding.seed}", flush=True)
    return tally


def files(kind: str, seed: int, tally: Tally) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as name:
        outcome = play(make(kind, seed, Path(name)), Path(name))
        tally.cases += 1
        tally.slowest = max(tally.slowest, (outcome.seconds, seed))
        tally.memory = max(tally.memory, outcome.memory)
        tally.cpu += outcome.cpu
        if what := children.fault(outcome) or (outcome.ended_itself and left_behind(Path(name))):
            yield Finding(kind, seed, what)


def make(kind: str, seed: int, box: Path) -> Job:
    job: Job = import_module(f"fuzz.{kind}").make(Random(f"{kind} {seed}"), box)
    return job


def play(job: Job, box: Path) -> children.Outcome:
    return children.run(children.commands, job.commands, folder=box)


def left_behind(box: Path) -> str | None:
    left = [path.name for path in box.rglob(".attnkit-*")]
    return f"leaves {left[0]} behind" if left else None


def ops(seed: int, tally: Tally) -> Iterator[Finding]:
    """Many calls in one child, which notes the seed before each: what ends it is that seed's fault."""
    from fuzz.ops import NOTE, call_many

    with tempfile.TemporaryDirectory() as name:
        outcome = children.run(call_many, seed, OPS_AT_ONCE, folder=Path(name), seconds=10 * children.SECONDS)
        last = int((Path(name) / NOTE).read_text() or seed)
    tally.cases += last - seed + 1
    tally.memory = max(tally.memory, outcome.memory)
    tally.cpu += outcome.cpu
    for line in outcome.stdout.splitlines():
        yield Finding("ops", *json.loads(line))
    if what := children.fault(outcome):
        yield Finding("ops", last, what)
