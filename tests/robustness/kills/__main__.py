"""./dev kills [WAY]... [--task TASK]... [--seconds N] [--seed N]"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from expected import known

from kills import trial
from kills.training import TASKS, Training


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./dev kills", description="Disturb trainings; status 1 where one ends otherwise."
    )
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"of {', '.join(trial.WAYS)}; all, if none is named")
    parser.add_argument("--task", action="append", choices=TASKS, help="repeatable (default: all)")
    parser.add_argument("--seconds", type=float, default=120, help="in all (default: 120)")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the next ones count on (default: 0)")
    options = parser.parse_args()
    if unknown := set(options.ways) - set(trial.WAYS):
        parser.error(f"expected a way of {', '.join(trial.WAYS)}, got {sorted(unknown)[0]}")
    asked = options.ways or trial.WAYS
    for way in asked:
        if reason := trial.why_not(way):
            print(f"skipped: {way}: {reason}")
    ways = [way for way in asked if not trial.why_not(way)]
    with tempfile.TemporaryDirectory() as folder:
        trainings = [Training(task, Path(folder)) for task in options.task or TASKS]
        return rounds(ways, trainings, options.seed, time.monotonic() + options.seconds)


def _endless(seed: int, ways: list[str], trainings: list[Training]) -> Iterator[tuple[int, str, Training]]:
    for each in itertools.count(seed) if ways else ():
        for way, training in itertools.product(ways, trainings):
            yield each, way, training


def rounds(ways: list[str], trainings: list[Training], seed: int, end: float) -> int:
    counts = dict.fromkeys(ways, 0)
    found = 0
    for round_seed, way, training in _endless(seed, ways, trainings):
        if time.monotonic() > end:
            break
        disturbed, faults = trial.disturb(way, training, round_seed)
        counts[way] += disturbed
        for fault in faults:
            reason = known(fault)
            found += reason is None
            print(f"{'found' if reason is None else 'known'} {way} {round_seed}: {fault}", flush=True)
        shutil.rmtree(training.work / f"{training.task}-{way}-{round_seed}", ignore_errors=True)
    print("disturbed: " + ", ".join(f"{way} {count}" for way, count in counts.items()) + f"; {found} faults")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
