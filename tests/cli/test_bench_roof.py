"""The share of the roof in the tables of `attnkit bench`: the time of products at its speed, of the time taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attnkit import ops
from attnkit.benchmark.roof import Counted, arithmetic_of, precision_of, shares_of_roof
from attnkit.benchmark.roof_worker import roof_contestants
from attnkit.benchmark.train import bench_train


def product(rows: int) -> Any:
    x, weight = np.ones((rows, 32), np.float32), np.ones((16, 32), np.float32)
    return ops.linear(x, weight)


def test_arithmetic_is_that_of_products_by_precision() -> None:
    assert arithmetic_of(lambda: product(8)) == {"fp32": 2.0 * 8 * 32 * 16}
    assert arithmetic_of(lambda: None) == {}


def test_a_process_that_is_profiled_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNKIT_PROFILE", "1")
    called = []
    assert arithmetic_of(lambda: called.append(product(8))) == {} and len(called) == 1


def test_the_first_call_is_counted_and_the_others_are_as_they_were() -> None:
    work = Counted(product)
    work(4)
    work(400)
    assert work.answer() == {"arithmetic": {"fp32": 2.0 * 4 * 32 * 16}}


@pytest.mark.parametrize(
    ("name", "precision"),
    [("attnkit int8", "int8"), ("torch bf16", "bf16"), ("ctranslate2 float32 2x1", "fp32"), ("bergamot 2 workers", "")],
)
def test_the_precision_of_a_contestant(name: str, precision: str) -> None:
    assert precision_of(name) == precision


def test_shares_are_medians_over_turns_and_a_peers_are_of_the_same_arithmetic() -> None:
    counted = {"arithmetic": {"int8": 60.0, "fp32": 10.0}}
    answers: dict[str, list[dict[str, Any]]] = {
        "attnkit int8": [{"seconds": 4.0, **counted}, {"seconds": 2.0, **counted}, {"seconds": 8.0, **counted}],
        "ctranslate2 int8 2x1": [{"seconds": 8.0}, {"seconds": 8.0}, {"seconds": 8.0}],
        "bergamot 2 workers": [{"seconds": 1.0}] * 3,
    }
    rates = [{"int8": 60.0, "fp32": 10.0}] * 2 + [{"int8": 30.0, "fp32": 5.0}]  # the machine slows down
    found = shares_of_roof(answers, rates)
    assert found == {"attnkit int8": pytest.approx(0.5), "ctranslate2 int8 2x1": pytest.approx(0.25)}
    assert shares_of_roof(answers, []) == {}


def test_a_roof_is_the_cpus() -> None:
    (found,) = roof_contestants(("int8",), 2, "cpu")
    assert found.arguments == ("2", "fp32", "int8")
    assert roof_contestants(("int8",), 2, "cuda:0") == []


def test_a_training_step_has_a_share() -> None:
    (found,) = bench_train("han", ("fp32",), batch_tokens=64, batch_images=2, runs=1, threads=1)
    assert found.of_roof is not None and 0 < found.of_roof < 1.5
