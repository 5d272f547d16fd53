"""How much of the machine a bench's work has: the time that its matrix products would take at the speed of a large one,
as a share of the time that it takes.

The arithmetic is counted once, while attnkit does the work; a peer's is the same at the same precision, however it goes
about it. The speed is measured by a process of its own, in turn with the contestants (roof_worker.py).
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attnkit import _core
from attnkit.benchmark.profile import PRECISIONS

_NAMES = {"float32": "fp32"}
"""What peers call a precision in their contestants' names."""


def arithmetic_of(call: Callable[[], Any]) -> dict[str, float]:
    """The operations of a call's products by precision; nothing where the user profiles the process."""
    if "ATTNKIT_PROFILE" in os.environ:
        call()
        return {}
    _core.start_profile()
    try:
        call()
    finally:
        rows = _core.stop_profile()
    totals = dict.fromkeys(PRECISIONS, 0.0)
    for row in rows:
        for name, amount in zip(PRECISIONS, row[4:], strict=True):
            totals[name] += amount
    return {name: total for name, total in totals.items() if total}


class Counted:
    """Work whose first call, which a bench does not time, says the `arithmetic` of each."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call
        self.arithmetic: dict[str, float] | None = None

    def __call__(self, *given: Any) -> None:
        if self.arithmetic is None:
            self.arithmetic = arithmetic_of(lambda: self._call(*given))
        else:
            self._call(*given)

    def answer(self) -> dict[str, Any]:
        """What a contestant says of it beside its seconds."""
        return {"arithmetic": self.arithmetic}


def precision_of(name: str) -> str:
    """Of a contestant, such as "ctranslate2 int8 2x1"; empty where the name has none."""
    words = [_NAMES.get(word, word) for word in name.split()[1:2]]
    return words[0] if words and words[0] in PRECISIONS else ""


def shares_of_roof(
    answers: Mapping[str, Sequence[Mapping[str, Any]]], rates: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """By contestant, the median over the runs. answers: of each run, its `seconds`, and attnkit's `arithmetic`. rates:
    operations a second in the turn of each run; none where nobody measured them."""
    counted = {precision_of(name): runs[-1]["arithmetic"] for name, runs in answers.items() if "arithmetic" in runs[-1]}
    shares = {}
    for name, runs in answers.items():
        arithmetic = counted.get(precision_of(name))
        if arithmetic and rates:
            fastest = [sum(amount / rate[kind] for kind, amount in arithmetic.items()) for rate in rates]
            shares[name] = statistics.median(least / run["seconds"] for least, run in zip(fastest, runs, strict=True))
    return shares
