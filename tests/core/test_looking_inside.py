"""ATTNKIT_PROFILE and ATTNKIT_CHECK_NAN: what ops cost, and which of them first gave NaN."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit import _core, nn, ops


@pytest.fixture
def profile() -> Iterator[None]:
    _core.start_profile()
    yield
    _core.stop_profile()


@pytest.fixture
def nan_check() -> Iterator[None]:
    _core.set_nan_check(True)
    yield
    _core.set_nan_check(False)


def costs() -> dict[str, tuple[Any, ...]]:
    return {op: tuple(rest) for op, *rest in _core.stop_profile()}


def leaf(*shape: int) -> attnkit.Tensor:
    return attnkit.tensor(np.ones(shape, np.float32), requires_grad=True)


@pytest.mark.usefixtures("profile")
def test_calls_bytes_and_arithmetic_of_an_op_and_its_backward() -> None:
    x, weight = leaf(10, 6), leaf(4, 6)
    for _ in range(3):
        ops.linear(x, weight).backward(np.ones((10, 4), np.float32))
    found = costs()
    assert set(found) == {"linear", "linear backward"}
    calls, seconds, size, fp32, bf16, int8 = found["linear"]
    assert (calls, size, fp32, bf16, int8) == (3, 3 * 4 * (60 + 24 + 40), 3 * 2 * 10 * 6 * 4, 0, 0)
    assert 0 < seconds < 60
    calls, _, size, fp32, *_ = found["linear backward"]
    assert (calls, size, fp32) == (3, 3 * 4 * (40 + 60 + 24), 2 * 3 * 2 * 10 * 6 * 4)


@pytest.mark.usefixtures("profile")
def test_an_int8_weight_has_a_byte_a_number() -> None:
    weight = _core.from_int8(np.ones((4, 6), np.int8), np.ones(4, np.float32), 2.0).to(_core.default_device())
    with attnkit.no_grad(), attnkit.precision("int8"):
        ops.linear(leaf(10, 6), weight)
        ops.gather_rows(weight, np.array([3, 0, 0], np.int32))
    found = costs()
    assert found["linear"][2:] == (4 * 60 + 24 + 4 * 40, 0, 0, 2 * 10 * 6 * 4)
    assert found["gather_rows"][2] == 24 + 3 * 6


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(("precision", "place"), [("fp32", 3), ("bf16", 4), ("int8", 5)])
def test_arithmetic_is_counted_by_precision(precision: Any, place: int) -> None:
    with attnkit.no_grad(), attnkit.precision(precision):
        ops.linear(leaf(10, 6), leaf(4, 6))
    amounts = costs()["linear"]
    assert amounts[place] == 2 * 10 * 6 * 4 and sum(amounts[3:]) == amounts[place]


@pytest.mark.usefixtures("profile")
def test_time_belongs_to_the_inner_op_alone() -> None:
    x = leaf(1 << 20, 4)
    x + np.ones(4, np.float32)  # add calls broadcast_to
    found = costs()
    assert found["broadcast_to"][0] == found["add"][0] == 1
    assert found["add"][1] > 0 and found["broadcast_to"][1] > 0


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("call", "op", "operations"),
    [
        (lambda: ops.attention(*[np.ones((2, 3, 5, 8), np.float32)] * 3), "attention", 2 * 2 * 3 * 25 * 16),
        (
            lambda: ops.attention(*[np.ones((2, 3, 5, 8), np.float32)] * 3, causal=True),
            "attention",
            2 * 2 * 3 * 15 * 16,
        ),
        (lambda: ops.conv2d(leaf(2, 6, 6, 3), leaf(5, 3, 3, 3)), "conv2d", 2 * 2 * 16 * 27 * 5),
        (lambda: ops.ragged_dots(leaf(3, 7), leaf(5, 7), [0, 1, 3], [0, 2, 5]), "ragged_dots", 2 * 7 * (2 + 2 * 3)),
        (
            lambda: ops.ragged_dots(leaf(3, 7), leaf(5, 7), [0, 1, 3], [0, 2, 5], [0, -4, 2], [1, 9, 2]),
            "ragged_dots",
            2 * 7 * (1 + 3),
        ),
        (lambda: ops.ragged_sums(leaf(8), leaf(5, 7), [0, 1, 3], [0, 2, 5]), "ragged_sums", 2 * 7 * 8),
        (lambda: nn.GRU(7, 5)(leaf(9, 7), np.array([0, 4, 9])), "gru", 2 * 9 * 15 * 5),
    ],
)
def test_arithmetic_of_other_ops(call: Any, op: str, operations: int) -> None:
    call()
    assert costs()[op][3] == operations


def test_nothing_is_counted_without_a_profile() -> None:
    _core.start_profile()
    _core.stop_profile()
    ops.softmax(np.ones((3, 3), np.float32))
    assert costs() == {}


@pytest.mark.usefixtures("nan_check")
def test_the_first_op_that_gave_nan_is_named() -> None:
    zero = leaf(3) * 0.0
    with pytest.raises(RuntimeError, match=r"\[divide\] gave NaN, 3 of 3 numbers, although it read none"):
        zero / zero


@pytest.mark.usefixtures("nan_check")
def test_nan_that_was_read_is_passed_on() -> None:
    x = attnkit.tensor(np.array([1.0, np.nan], np.float32))
    assert np.isnan((x + x).numpy()[1])


@pytest.mark.usefixtures("nan_check")
def test_the_first_backward_that_gave_nan_is_named() -> None:
    x = attnkit.tensor(np.zeros(2, np.float32), requires_grad=True)
    y = (x**0.5 * 0.0).sum()
    with pytest.raises(RuntimeError, match=r"\[unary backward\] gave NaN, 2 of 2 numbers, although it read none"):
        y.backward()


@pytest.mark.usefixtures("nan_check")
def test_infinities_and_memory_that_is_not_returned_are_no_nan() -> None:
    x = leaf(4)
    assert np.isinf((x / (x * 0.0)).numpy()).all()
    hidden = np.zeros((2, 1, 3, 8), np.float32)
    ops.attention(hidden, hidden, hidden, mask=np.zeros((3, 3), bool))  # rows that see nothing


SCRIPT = "import attnkit.ops, numpy as np; attnkit.ops.softmax(np.ones((300, 300), np.float32))"


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], env=os.environ | variables, capture_output=True, text=True, check=True
    )


def test_a_profile_for_people_goes_to_stderr() -> None:
    result = run(ATTNKIT_PROFILE="1")
    assert result.stdout == ""
    head, columns, row = result.stderr.splitlines()
    assert head.startswith("profile: ") and "copy" in head
    assert columns.split()[:3] == ["op", "calls", "ms"]
    assert row.split()[:2] == ["softmax", "1"]


def test_a_profile_for_programs_goes_to_a_file(tmp_path: Path) -> None:
    assert run(ATTNKIT_PROFILE=str(tmp_path / "profile.json")).stderr == ""
    found = json.loads((tmp_path / "profile.json").read_text("utf-8"))
    (op,) = found["ops"]
    assert op["op"] == "softmax" and op["calls"] == 1 and op["bytes"] == 2 * 4 * 90_000
    assert op["of_roof"] > 0 and found["roofs"]["copy"] > 0


def test_a_process_without_an_op_has_no_profile() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import attnkit"], env=os.environ | {"ATTNKIT_PROFILE": "1"}, capture_output=True
    )
    assert result.stderr == b""


def test_a_profile_that_cannot_be_written_is_a_line(tmp_path: Path) -> None:
    error = run(ATTNKIT_PROFILE=str(tmp_path / "none" / "profile.json")).stderr
    assert error.startswith("attnkit: the profile cannot be written: ") and error.count("\n") == 1


def test_the_check_for_nan_is_switched_on_by_the_environment() -> None:
    code = "import numpy as np, attnkit; x = attnkit.tensor(np.zeros(2)); x / x"
    result = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"ATTNKIT_CHECK_NAN": "1"}, capture_output=True, text=True
    )
    assert "RuntimeError: [divide] gave NaN" in result.stderr
