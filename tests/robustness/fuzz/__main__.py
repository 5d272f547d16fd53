"""./dev fuzz [KIND]... [--seconds N] [--cases N] [--seed N], or ./dev fuzz KIND --replay SEED."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import children

from fuzz import runner

KEPT = Path("build") / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./dev fuzz", description="Try hostile inputs; status 1 where one finds a fault."
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(runner.KINDS)}; all, if none is named")
    parser.add_argument("--seconds", type=float, default=60, help="for each kind (default: 60)")
    parser.add_argument("--cases", type=int, default=10**12, help="of each kind, at the most")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the next ones count on (default: 0)")
    parser.add_argument("--replay", type=int, metavar="SEED", help="run the case of this seed and keep its files")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(runner.KINDS):
        parser.error(f"expected a kind of {', '.join(runner.KINDS)}, got {sorted(unknown)[0]}")
    if options.replay is not None:
        if len(options.kinds) != 1:
            parser.error("--replay needs one KIND")
        return replay(options.kinds[0], options.replay)
    return max([fuzz(kind, options) for kind in options.kinds or runner.KINDS])


def fuzz(kind: str, options: argparse.Namespace) -> int:
    tally = runner.run(kind, options.seed, options.seconds, options.cases)
    seconds, slowest = tally.slowest
    print(
        f"{kind}: {tally.cases:,} cases, {len(tally.found)} faults; the slowest, {slowest}, took {seconds:.1f} s, "
        f"the largest {tally.memory / 2**20:,.0f} MiB over the start; {tally.cpu:,.0f} s of CPU time",
        flush=True,
    )
    for reason, count in sorted(tally.known.items()):
        print(f"  known: {reason} ({count} times)")
    return int(bool(tally.found))


def replay(kind: str, seed: int) -> int:
    if kind == "ops":
        from fuzz.ops import describe

        describe(seed)
        return 0
    with tempfile.TemporaryDirectory() as name:
        box = Path(name)
        job = runner.make(kind, seed, box)
        kept = KEPT / f"{kind}-{seed}"
        shutil.rmtree(kept, ignore_errors=True)
        job.keep(box, kept)
        outcome = runner.play(job, box)
        found = children.fault(outcome) or runner.left_behind(box)
    for line in job.commands:
        print("attnkit", *line)
    print(outcome.stderr, f"status {outcome.status}, {found or 'no fault'}; files in {kept}", sep="\n")
    return int(found is not None)


if __name__ == "__main__":
    sys.exit(main())
