"""The cases of `attnkit bench kernels` for pytest-benchmark: `pytest bench/test_kernels.py -k "softmax and forward"`.

It compares runs of this machine: `--benchmark-autosave` before a change, `--benchmark-compare` behind it.
"""

from __future__ import annotations

from typing import Any

import pytest

from attnkit.benchmark import kernels_attnkit
from attnkit.benchmark.kernels import CASES, Case


def name_of(case: Case) -> str:
    return "-".join(
        part
        for part in (case.kernel, "x".join(map(str, case.shape)), case.precision, case.direction, case.variant)
        if part
    )


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_kernel(benchmark: Any, case: Case) -> None:
    benchmark(getattr(kernels_attnkit, case.kernel)(case))
