"""A kernel must not lose half of its speed unnoticed: its time against that of the same formula in NumPy.

ratios.json holds how many times faster attnkit was, for each instruction set. Both sides run in one thread, whose own
time is counted, so that the machine's clock and load act on both. After a change that is meant to shift them:
`pytest bench/test_guard.py --record-ratios`.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy_reference
import pytest

from attnkit import _core
from attnkit.benchmark import kernels_attnkit
from attnkit.benchmark.kernels import Case
from attnkit.benchmark.timing import repeated_seconds

RATIOS = Path(__file__).with_name("ratios.json")
ALLOWED = 0.5  # of the recorded ratio
ROUNDS, SECONDS = 9, 0.01
ATTEMPTS = 3  # the fastest counts: a disturbance slows down, it never speeds up

CASES = (
    Case("matmul", (256, 256, 256)),
    Case("matmul", (8, 512, 512)),
    Case("attention", (16, 4, 16, 32)),
    Case("attention", (2, 4, 128, 64)),
    Case("softmax", (2048, 64)),
    Case("softmax", (64, 10_000)),
    Case("layer_norm", (1024, 512)),
    Case("linear_cross_entropy", (256, 128, 2000), direction="both"),
    Case("gru", (16, 20, 128)),
    Case("conv2d", (4, 16, 32, 32, 3)),
)


def name_of(case: Case) -> str:
    return f"{case.kernel} {'x'.join(map(str, case.shape))}"


@pytest.fixture(params=_core.supported_isas())
def one_thread(request: pytest.FixtureRequest) -> Iterator[str]:
    """One thread, under each instruction set of this machine."""
    before = _core.active_isa(), _core.get_num_threads()
    _core.set_isa(request.param)
    _core.set_num_threads(1)
    yield request.param
    _core.set_isa(before[0])
    _core.set_num_threads(before[1])


def ratio(case: Case) -> float:
    """How many times as long NumPy takes: the best of rounds that go in turn, so that a disturbance hits both."""
    calls: list[Callable[[], Any]] = [getattr(side, case.kernel)(case) for side in (numpy_reference, kernels_attnkit)]
    rounds = [[repeated_seconds(call, SECONDS, time.thread_time) for call in calls] for _ in range(ROUNDS)]
    theirs, ours = (min(times) for times in zip(*rounds, strict=True))
    return theirs / ours


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_no_kernel_lost_half_of_its_speed(case: Case, one_thread: str, request: pytest.FixtureRequest) -> None:
    recorded = json.loads(RATIOS.read_text("utf-8")) if RATIOS.exists() else {}
    if request.config.getoption("--record-ratios"):
        recorded.setdefault(one_thread, {})[name_of(case)] = round(
            statistics.median(ratio(case) for _ in range(ATTEMPTS)), 3
        )
        RATIOS.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n", "utf-8")
        return
    if name_of(case) not in recorded.get(one_thread, {}):
        pytest.skip(f"no ratio was recorded for {one_thread}")
    wanted = ALLOWED * recorded[one_thread][name_of(case)]
    found = [0.0]
    while max(found) <= wanted and len(found) <= ATTEMPTS:
        found.append(ratio(case))
    assert max(found) > wanted
