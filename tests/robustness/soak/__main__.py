"""./dev soak [sharing] [memory] [--seconds N] [--lines N] [--requests N] [--steps N] [--seed N]"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from expected import known

from soak import memory, sharing

PARTS = ("sharing", "memory")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="./dev soak", description="Use models long and together; status 1 for a fault."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="sharing, memory (default: both)")
    parser.add_argument("--seconds", type=float, default=60, help="of sharing (default: 60)")
    parser.add_argument("--lines", type=int, default=100_000, help="of translation (default: 100,000)")
    parser.add_argument("--requests", type=int, default=1_000, help="of models of all kinds (default: 1,000)")
    parser.add_argument("--steps", type=int, default=1_000, help="of training (default: 1,000)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"expected sharing or memory, got {sorted(unknown)[0]}")
    found = 0
    for fault in faults(options.parts or PARTS, options):
        reason = known(fault)
        found += reason is None
        print(f"{'found' if reason is None else 'known'} {fault}", flush=True)
    print(f"soak: {found} faults")
    return int(found > 0)


def faults(parts: tuple[str, ...], options: argparse.Namespace) -> Iterator[str]:
    if "sharing" in parts:
        yield from share(options.seed, options.seconds)
    if "memory" in parts:
        yield from memory.lines(options.lines, options.seed)
        yield from memory.requests(options.requests, options.seed)
        yield from memory.steps(options.steps, options.seed)


def share(seed: int, seconds: float) -> Iterator[str]:
    """Rounds of all checks until the time is over; each check at least once."""
    end, counts = time.monotonic() + seconds, Counter[str]()
    with tempfile.TemporaryDirectory() as name:
        wanted = sharing.expected(Path(name))
        while time.monotonic() < end or len(counts) < len(sharing.CHECKS):
            check = list(sharing.CHECKS)[counts.total() % len(sharing.CHECKS)]
            yield from sharing.check(check, wanted, seed + counts[check], Path(name))
            counts[check] += 1
    print("sharing: " + ", ".join(f"{check} {count}" for check, count in counts.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
