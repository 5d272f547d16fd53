"""What is kept for backward under bf16: half the bytes, and the same gradients where a product rounds anyway."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from closeness import BFLOAT16, assert_close

import attnkit
from attnkit import _core, ops
from attnkit._core import Tensor

MEGABYTE = 1 << 20


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(array: np.ndarray) -> Tensor:
    return attnkit.tensor(array, requires_grad=True)


def rounded(x: np.ndarray) -> np.ndarray:
    return attnkit.tensor(x, dtype="bfloat16").to("float32").numpy()


def kept_by(loss: Callable[[], Tensor]) -> int:
    """Bytes that a graph holds until it is run backward."""
    before = _core.memory_stats()["bytes_in_use"]
    result = loss()
    kept = _core.memory_stats()["bytes_in_use"] - before
    result.backward()
    return int(kept)


def gradients(x: np.ndarray, weight: np.ndarray, upstream: np.ndarray, computed: bool) -> list[np.ndarray]:
    """Of a linear layer under bf16 whose input is a leaf, which is kept as it is, or the result of an op."""
    leaves = [leaf(x), leaf(weight), leaf(weight[:, 0].copy())]
    with attnkit.precision("bf16"):
        ops.linear(leaves[0] + 0.0 if computed else leaves[0], *leaves[1:]).backward(upstream)
    return [tensor.grad.numpy() for tensor in leaves]


SHAPES = [(1, 1, 1), (3, 33, 17), (64, 40, 100), (65, 7, 49), (130, 96, 16), (0, 4, 3)]  # rows, depth, columns


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_gradients_of_a_product_are_those_of_its_float32_input(
    shape: tuple[int, int, int], isa: str, threads: int
) -> None:
    rows, depth, columns = shape
    arrays = numbers(rows, depth), numbers(columns, depth, seed=1), numbers(rows, columns, seed=2)
    for got, expected in zip(gradients(*arrays, True), gradients(*arrays, False), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_extreme_inputs_reach_the_gradient_of_the_weight_as_before(isa: str) -> None:
    x = np.array([[0.0, -0.0, 3.39e38, 1e-40, np.inf, 1 + 2**-8], [1.0, -1.0, 1e38, -1e-40, 1.0, np.nan]], np.float32)
    arrays = x, numbers(4, 6), numbers(2, 4, seed=1)
    np.testing.assert_array_equal(gradients(*arrays, True)[1], gradients(*arrays, False)[1])


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "gelu_tanh", "quick_gelu", "tanh", "sigmoid"])
@pytest.mark.parametrize("size", [(4, 6, 5), (64, 8, 16_384)], ids=str)  # the latter in pieces
def test_the_gradients_of_an_activation_are_close(activation: str, size: tuple[int, int, int], threads: int) -> None:
    """Those of relu, tanh and the sigmoid are exact: the sign is kept, or float32."""
    rows, depth, columns = size
    x, weight, upstream = numbers(rows, depth), numbers(columns, depth, seed=1), numbers(rows, columns, seed=2)
    found = []
    for fused in (True, False):
        leaves = [leaf(x), leaf(weight)]
        with attnkit.precision("bf16"):
            y = ops.linear(*leaves, None, activation if fused else None)
        (y if fused else getattr(ops, activation)(y)).backward(upstream)
        found.append([tensor.grad.numpy() for tensor in leaves])
    for got, expected in zip(*found, strict=True):
        if activation in ("relu", "tanh", "sigmoid"):
            np.testing.assert_array_equal(got, expected)
        else:
            assert_close(got, expected, terms=rows, scale=8.0 * depth**0.5, epsilon=BFLOAT16)


@pytest.mark.cpu_only
@pytest.mark.parametrize(("op", "halves"), [("add", True), ("tanh", False)])
def test_products_of_one_input_share_what_they_keep(op: str, halves: bool) -> None:
    """One copy in bfloat16, or float32 where the op that made it keeps that for itself, as tanh does."""
    x, weights = leaf(numbers(1024, 1024)), [leaf(numbers(8, 1024, seed=i)) for i in range(3)]

    def loss() -> Tensor:
        read = x.tanh() if op == "tanh" else x + 1.0
        first, second, third = (ops.linear(read, weight) for weight in weights)
        return (first + second + third).sum()

    with attnkit.precision("fp32"):
        assert 4 * MEGABYTE <= kept_by(loss) < 5 * MEGABYTE
    with attnkit.precision("bf16"):
        fewest = (2 if halves else 4) * MEGABYTE
        assert fewest <= kept_by(loss) < fewest + MEGABYTE


@pytest.mark.cpu_only
@pytest.mark.parametrize(("activation", "bytes_a_number"), [("relu", 2), ("gelu", 4), ("tanh", 4)])
def test_what_a_network_keeps_of_its_hidden_layer(activation: str, bytes_a_number: int) -> None:
    """relu's result and the next product's input are one copy, gelu's are two; tanh keeps float32 for both."""
    x, up, down = leaf(numbers(1024, 8)), leaf(numbers(1024, 8, seed=1)), leaf(numbers(8, 1024, seed=2))
    with attnkit.precision("bf16"):
        kept = kept_by(lambda: ops.linear(ops.linear(x, up, None, activation), down).sum())
    assert bytes_a_number * MEGABYTE <= kept < (bytes_a_number + 1) * MEGABYTE


@pytest.mark.cpu_only
def test_a_frozen_product_keeps_no_input() -> None:
    x, weight = leaf(numbers(1024, 1024)), attnkit.tensor(numbers(8, 1024, seed=1))
    kept = kept_by(lambda: ops.linear(x + 1.0, weight).sum())
    assert kept < MEGABYTE
    np.testing.assert_array_equal(rounded(x.grad.numpy()), rounded(np.tile(weight.numpy().sum(0), (1024, 1))))


@pytest.mark.cpu_only
def test_memory_that_was_written_is_rounded_anew() -> None:
    """Rows that are written into a buffer between two products that read it."""
    x, weight = numbers(4, 8), numbers(3, 8, seed=1)
    buffer, upstream = leaf(x) * 1.0, np.ones((4, 3), np.float32)
    first, second = leaf(weight), leaf(weight)
    with attnkit.precision("bf16"):
        before = ops.linear(buffer, first)
        buffer = ops.write_rows(buffer, [1, 2], attnkit.tensor(np.ones((2, 8), np.float32)))
        after = ops.linear(buffer, second)
    (before + after).backward(upstream)
    np.testing.assert_allclose(first.grad.numpy(), np.tile(rounded(x).sum(0), (3, 1)), rtol=1e-5, atol=1e-6)
    changed = rounded(x)
    changed[1:3] = 1.0
    np.testing.assert_allclose(second.grad.numpy(), np.tile(changed.sum(0), (3, 1)), rtol=1e-5, atol=1e-6)
