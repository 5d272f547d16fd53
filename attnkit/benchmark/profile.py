"""What each op of a program costs, and how near it comes to what the machine can do: ATTNKIT_PROFILE.

An op's time is its own, without the ops that it calls; calls of several threads are added up. Its bytes are those of
the arrays that it reads and makes, each counted once (of a backward: the gradients); its arithmetic is that of matrix
products, two operations for a product and its sum. The roof is the time that the machine would need for the larger of
the two (Williams, Waterman and Patterson, 2009): measured when the program ends, by a product and a copy that no cache
holds. What lies in a cache may be faster than that copy.
"""

from __future__ import annotations

import atexit
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import IO

import numpy as np

from attnkit import _core

PRECISIONS = ("fp32", "bf16", "int8")
_SIDE = 1024  # of the matrices whose product is the roof
_COPIED = 1 << 24  # numbers


@dataclass(frozen=True)
class OpCost:
    """seconds, bytes and arithmetic (operations by precision) of all calls; of_roof: the share of the roof that was
    reached, 0 to about 1."""

    op: str
    calls: int
    seconds: float
    bytes: float
    arithmetic: dict[str, float]
    of_roof: float


@dataclass(frozen=True)
class Profile:
    """wall: seconds from the start to the end of the profile. roofs: operations a second by precision, and bytes a
    second of a copy ("copy"). ops: the costliest first."""

    wall: float
    threads: int
    roofs: dict[str, float]
    ops: list[OpCost]


def start(destination: str) -> None:
    """Counts from now on. When the program ends, a table goes to stderr (`destination` "1"), or JSON into a file."""
    begin = time.perf_counter()
    _core.start_profile()
    atexit.register(lambda: _finish(begin, destination))


def stop(begin: float) -> Profile:
    """Ends the profile that began at `begin` (time.perf_counter()), and measures the roofs."""
    wall = time.perf_counter() - begin
    rows = _core.stop_profile()
    used = {name for row in rows for name, amount in zip(PRECISIONS, row[4:], strict=True) if amount}
    if not rows:
        return Profile(wall, _core.get_num_threads(), {}, [])
    roofs = {name: products_per_second(name) for name in PRECISIONS if name in used} | {"copy": _bytes_per_second()}
    ops = [_cost(row, roofs) for row in rows]
    return Profile(wall, _core.get_num_threads(), roofs, sorted(ops, key=lambda cost: -cost.seconds))


def _cost(row: tuple[str, int, float, float, float, float, float], roofs: dict[str, float]) -> OpCost:
    op, calls, seconds, size, *amounts = row
    arithmetic = {name: amount for name, amount in zip(PRECISIONS, amounts, strict=True) if amount}
    fastest = max(size / roofs["copy"], sum(amount / roofs[name] for name, amount in arithmetic.items()))
    return OpCost(op, calls, seconds, size, arithmetic, fastest / seconds if seconds > 0 else 0.0)


def write(profile: Profile, to: IO[str]) -> None:
    """A table for people."""
    seconds = sum(cost.seconds for cost in profile.ops) or 1.0
    limits = [f"{name} {rate / 1e9:,.0f} GFLOP/s" for name, rate in profile.roofs.items() if name != "copy"]
    limits.append(f"copy {profile.roofs['copy'] / 1e9:.1f} GB/s")
    print(
        f"profile: {profile.wall:.2f} s, {sum(cost.seconds for cost in profile.ops):.2f} s of them in ops, "
        f"{profile.threads} threads; roof: {', '.join(limits)}",
        file=to,
    )
    heading = ("op", "calls", "ms", "of ops", "MB", "GFLOP", "of roof")
    table = [heading, *(_row(cost, seconds) for cost in profile.ops)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heading))]
    for row in table:
        name, *numbers = (cell.ljust(width) if i == 0 else cell.rjust(width)
                          for i, (cell, width) in enumerate(zip(row, widths, strict=True)))  # fmt: skip
        print("  ".join((name, *numbers)), file=to)


def _row(cost: OpCost, seconds: float) -> Sequence[str]:
    return (
        cost.op,
        f"{cost.calls:,}",
        f"{cost.seconds * 1e3:,.1f}",
        f"{cost.seconds / seconds:.1%}",
        f"{cost.bytes / 1e6:,.1f}",
        f"{sum(cost.arithmetic.values()) / 1e9:,.2f}",
        f"{cost.of_roof:.0%}",
    )


def _finish(begin: float, destination: str) -> None:
    profile = stop(begin)
    if not profile.ops:  # such as a process that started the one that works
        return
    try:
        if destination == "1":
            write(profile, sys.stderr)
            return
        with open(destination, "w", encoding="utf-8") as file:
            json.dump(asdict(profile), file, indent=1)
            file.write("\n")
    except OSError as error:
        print(f"attnkit: the profile cannot be written: {error}", file=sys.stderr)


def products_per_second(precision: str) -> float:
    """Operations a second of a product that no cache holds, by all threads of this process."""
    x = np.full((_SIDE, _SIDE), 0.5, np.float32)
    return 2.0 * _SIDE**3 / _fastest(lambda: _core.gemm(x, x, precision))


def _bytes_per_second() -> float:
    x = _core.from_array(np.zeros(_COPIED, np.float32), False)
    return 2.0 * 4.0 * _COPIED / _fastest(lambda: x * 1.0)


def _fastest(call: Callable[[], object]) -> float:
    call()
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best
