"""matmul, linear and linear_cross_entropy: against float64, finite differences and PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from closeness import BFLOAT16, assert_close, numeric_gradients

import attnkit
from attnkit import _core, ops


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(array: np.ndarray) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def _erf(x: np.ndarray) -> np.ndarray:
    from math import erf

    return np.vectorize(erf, otypes=[np.float64])(x)


ACTIVATIONS: dict[str | None, Callable[[np.ndarray], np.ndarray]] = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "gelu": lambda x: 0.5 * x * (1 + _erf(x / np.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "quick_gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


# --- matmul

PRODUCTS = [
    ((1, 1), (1, 1)),
    ((5, 7), (7, 3)),
    ((2, 5, 7), (2, 7, 3)),
    ((2, 5, 7), (7, 3)),
    ((5, 7), (3, 7, 2)),
    ((2, 1, 4, 6), (3, 6, 5)),
    ((33, 65), (65, 49)),
]


@pytest.mark.parametrize("shapes", PRODUCTS, ids=str)
def test_matmul(shapes: tuple[tuple[int, ...], ...], isa: str) -> None:
    a, b = numbers(*shapes[0]), numbers(*shapes[1], seed=1)
    out = ops.matmul(a, b)
    assert isinstance(out, np.ndarray)
    terms = shapes[0][-1]
    assert_close(out, a.astype(np.float64) @ b.astype(np.float64), terms=terms, scale=4.0)


@pytest.mark.parametrize("shapes", PRODUCTS[:-1], ids=str)
def test_the_gradients_of_matmul(shapes: tuple[tuple[int, ...], ...]) -> None:
    a, b = numbers(*shapes[0]), numbers(*shapes[1], seed=1)
    x, y = leaf(a), leaf(b)
    out = x @ y
    upstream = numbers(*out.shape, seed=2)
    out.backward(upstream)
    for got, expected in zip((x.grad, y.grad), numeric_gradients(np.matmul, [a, b], upstream), strict=True):
        assert_close(got, expected, terms=out.size, scale=2.0)


@pytest.mark.parametrize("shapes", [((0, 4), (4, 3)), ((3, 4), (4, 0)), ((3, 0), (0, 2))], ids=str)
def test_empty_products(shapes: tuple[tuple[int, ...], ...]) -> None:
    x, y = leaf(numbers(*shapes[0])), leaf(numbers(*shapes[1]))
    out = x @ y
    np.testing.assert_array_equal(out.numpy(), np.zeros((shapes[0][0], shapes[1][1])))
    out.sum().backward()
    assert x.grad is not None and x.grad.shape == shapes[0]


# --- linear


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [True, False])
def test_linear(activation: str | None, bias: bool, isa: str) -> None:
    x, weight, b = numbers(3, 5, 20), numbers(17, 20, seed=1), numbers(17, seed=2)
    exact = ACTIVATIONS[activation](x.astype(np.float64) @ weight.T.astype(np.float64) + (b if bias else 0))
    out = ops.linear(x, weight, b if bias else None, activation)
    assert_close(out, exact, terms=21, scale=4.0)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradients_of_linear(activation: str | None) -> None:
    x, weight, bias = numbers(4, 6), numbers(5, 6, seed=1), numbers(5, seed=2)
    leaves = [leaf(x), leaf(weight), leaf(bias)]
    out = ops.linear(*leaves, activation)
    upstream = numbers(4, 5, seed=3)
    out.backward(upstream)
    assert np.array_equal(upstream, numbers(4, 5, seed=3))  # what the caller gave is not written

    def formula(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        return ACTIVATIONS[activation](x @ weight.T + bias)

    for got, expected in zip(leaves, numeric_gradients(formula, [x, weight, bias], upstream), strict=True):
        assert_close(got.grad, expected, terms=8, scale=4.0)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_only_what_needs_a_gradient_gets_one(frozen: int) -> None:
    arrays = [numbers(4, 6), numbers(5, 6, seed=1), numbers(5, seed=2)]
    leaves = [attnkit.tensor(array, requires_grad=i != frozen) for i, array in enumerate(arrays)]
    ops.linear(*leaves, "gelu").sum().backward()
    assert [x.grad is not None for x in leaves] == [i != frozen for i in range(3)]


@pytest.mark.cpu_only
def test_a_parameter_that_is_written_is_packed_anew() -> None:
    x = numbers(3, 8)
    weight = _core.parameter(numbers(4, 8, seed=1))
    first = ops.linear(x, weight).numpy().copy()
    weight.copy_(numbers(4, 8, seed=2))
    second = ops.linear(x, weight).numpy()
    assert_close(second, x.astype(np.float64) @ numbers(4, 8, seed=2).T, terms=8)
    assert not np.allclose(first, second)
    weight.numpy()[:] = 0.0  # through the view, of which the core hears nothing
    assert not ops.linear(x, weight).numpy().any()


def test_bf16_is_near_and_not_the_same() -> None:
    x, weight, bias = numbers(33, 96), numbers(40, 96, seed=1), numbers(40, seed=2)
    exact = x.astype(np.float64) @ weight.T.astype(np.float64) + bias
    full = ops.linear(x, weight, bias)
    with attnkit.precision("bf16"):
        rounded = ops.linear(x, weight, bias)
        leaves = [leaf(x), leaf(weight)]
        out = ops.linear(*leaves)
    assert_close(rounded, exact, terms=96, epsilon=BFLOAT16 / 4, scale=1.0)
    assert np.abs(rounded - exact).max() > 10 * np.abs(full - exact).max()
    out.backward(numbers(33, 40, seed=3))  # outside: backward keeps the precision of its forward
    exact_dweight = numbers(33, 40, seed=3).T.astype(np.float64) @ x
    assert_close(leaves[1].grad, exact_dweight, terms=33, epsilon=BFLOAT16 / 4, scale=1.0)
    assert np.abs(leaves[1].grad.numpy() - exact_dweight).max() > 1e-3  # float32 would be far below
    np.testing.assert_array_equal(ops.linear(x, weight, bias), full)  # and afterwards fp32 again


def test_the_precision_is_one_of_two_and_of_one_thread() -> None:
    message = re.escape('[precision] expected "fp32", "bf16" or "int8", got "fp8"')
    with pytest.raises(ValueError, match=message), attnkit.precision("fp8"):
        pass
    assert _core.get_precision() == "fp32"
    import threading

    seen = []
    with attnkit.precision("bf16"):
        other = threading.Thread(target=lambda: seen.append(_core.get_precision()))
        other.start()
        other.join()
    assert seen == ["fp32"]


def test_a_row_does_not_depend_on_the_rows_beside_it(isa: str) -> None:
    x, weight, bias = numbers(70, 130), numbers(101, 130, seed=1), numbers(101, seed=2)
    whole = ops.linear(x, weight, bias, "gelu")
    for rows in (slice(0, 1), slice(3, 8), slice(69, 70), slice(10, 43)):
        np.testing.assert_array_equal(ops.linear(x[rows], weight, bias, "gelu"), whole[rows])


def test_linear_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x, weight, bias, upstream = numbers(64, 128), numbers(96, 128, seed=1), numbers(96, seed=2), numbers(64, 96, seed=3)
    ours = [leaf(a) for a in (x, weight, bias)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    out = ops.linear(*ours, "gelu")
    expected = torch.nn.functional.gelu(torch.nn.functional.linear(*theirs))
    assert_close(out, expected.detach(), terms=128, scale=4.0)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a.grad, b.grad, terms=128, scale=4.0)


# --- linear_cross_entropy


def exact_loss(
    hidden: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, labels: np.ndarray, smoothing: float, ignore: int
) -> np.ndarray:
    """The losses of the rows that count, in float64."""
    logits = hidden.astype(np.float64) @ weight.T.astype(np.float64) + (0 if bias is None else bias)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    counts = labels != ignore
    rows = np.nonzero(counts)[0]
    return (1 - smoothing) * -log_p[rows, labels[rows]] - smoothing * log_p[rows].mean(axis=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_linear_cross_entropy(smoothing: float, bias: bool, reduction: str) -> None:
    hidden, weight, b = numbers(37, 24), numbers(53, 24, seed=1), numbers(53, seed=2) if bias else None
    labels = np.random.default_rng(3).integers(0, 53, 37)
    labels[[4, 20]] = -100
    losses = exact_loss(hidden, weight, b, labels, smoothing, -100)
    out = ops.linear_cross_entropy(hidden, weight, labels, b, smoothing, reduction=reduction)
    assert_close(out, losses.mean() if reduction == "mean" else losses.sum(), terms=24)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradients_of_linear_cross_entropy(smoothing: float) -> None:
    hidden, weight, bias = numbers(6, 5), numbers(7, 5, seed=1), numbers(7, seed=2)
    labels = np.array([0, 6, 3, 9, 3, 1])
    leaves = [leaf(a) for a in (hidden, weight, bias)]
    (ops.linear_cross_entropy(leaves[0], leaves[1], labels, leaves[2], smoothing, ignore_index=9) * 3.0).backward()

    def formula(*arrays: np.ndarray) -> np.ndarray:
        return np.asarray(exact_loss(*arrays, labels, smoothing, 9).mean())

    for got, expected in zip(leaves, numeric_gradients(formula, [hidden, weight, bias], 3.0), strict=True):
        assert_close(got.grad, expected, terms=16, scale=1.0)
    assert not leaves[0].grad.numpy()[3].any()


def test_linear_cross_entropy_is_cross_entropy_of_linear_over_many_blocks() -> None:
    # 700 rows of 4,000 logits are more than one block.
    hidden, weight, bias = numbers(700, 16), numbers(4000, 16, seed=1) * 0.3, numbers(4000, seed=2)
    labels = np.random.default_rng(3).integers(0, 4000, 700)
    fused, plain = ([leaf(a) for a in (hidden, weight, bias)] for _ in range(2))
    ops.linear_cross_entropy(fused[0], fused[1], labels, fused[2], 0.1).backward()
    ops.cross_entropy(ops.linear(*plain), labels, 0.1).backward()
    for a, b in zip(fused, plain, strict=True):
        assert_close(a.grad, b.grad, terms=700)


def test_linear_cross_entropy_in_bf16() -> None:
    hidden, weight = numbers(40, 64), numbers(30, 64, seed=1) * 0.2
    labels = np.random.default_rng(3).integers(0, 30, 40)
    exact = exact_loss(hidden, weight, None, labels, 0.1, -100).mean()
    with attnkit.precision("bf16"):
        loss = float(ops.linear_cross_entropy(hidden, weight, labels, None, 0.1))
    assert 0 < abs(loss - exact) < BFLOAT16 * exact
    assert abs(float(ops.linear_cross_entropy(hidden, weight, labels, None, 0.1)) - exact) < 1e-5 * exact


def test_linear_cross_entropy_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    hidden, weight, bias = numbers(90, 32), numbers(211, 32, seed=1), numbers(211, seed=2)
    labels = np.random.default_rng(3).integers(0, 211, 90)
    labels[5] = -100
    ours = [leaf(a) for a in (hidden, weight, bias)]
    theirs = [torch.tensor(a, requires_grad=True) for a in (hidden, weight, bias)]
    loss = ops.linear_cross_entropy(ours[0], ours[1], labels, ours[2], 0.1)
    expected = torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(*theirs), torch.tensor(labels), label_smoothing=0.1
    )
    assert_close(loss, expected.item(), terms=32)
    loss.backward()
    expected.backward()
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a.grad, b.grad, terms=90, scale=1.0)


def test_no_label_counts() -> None:
    leaves = [leaf(numbers(3, 4)), leaf(numbers(5, 4))]
    loss = ops.linear_cross_entropy(*leaves, np.full(3, -100))
    assert loss.item() == 0.0
    loss.backward()
    for x in leaves:
        assert x.grad is not None and not x.grad.numpy().any()
    empty = ops.linear_cross_entropy(leaf(numbers(0, 4)), leaves[1], np.zeros(0, np.int32))
    assert empty.item() == 0.0


def test_the_logits_of_a_batch_are_never_stored(caching_allocator: None) -> None:
    hidden, weight = numbers(4096, 8), numbers(8000, 8, seed=1)
    labels = np.zeros(4096, np.int32)

    def taken() -> int:
        stats = _core.memory_stats()
        return stats["bytes_in_use"] + stats["bytes_cached"]

    _core.trim_memory()  # so that every block is asked of the system anew
    before = taken()
    ops.linear_cross_entropy(leaf(hidden), leaf(weight), labels).backward()
    assert 0 < taken() - before < 4 * 4096 * 8000 / 4


# --- errors


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.linear(numbers(2, 3), numbers(4, 5)), "[linear] expected x of shape [..., 5], got [2, 3]"),
        (lambda: ops.linear(numbers(2, 3), numbers(3)), "[linear] expected weight of shape [N, K], got [3]"),
        (lambda: ops.linear(numbers(2, 3), numbers(4, 3), numbers(3)), "[linear] expected bias of shape [4], got [3]"),
        (lambda: ops.linear(numbers(2, 3), numbers(4, 3), None, "elu"), "[activation] expected relu, gelu, silu, tanh"),
        (lambda: ops.linear(numbers(2, 3), numbers(4, 3), None, "gelu_new"), 'quick_gelu or None, got "gelu_new"'),
        (lambda: ops.matmul(numbers(3), numbers(3, 2)), "[matmul] expected shapes [..., M, K] and [..., K, N]"),
        (lambda: ops.matmul(numbers(2, 3, 4), numbers(3, 4, 5)), "[matmul] expected leading axes that broadcast"),
        (
            lambda: ops.linear_cross_entropy(numbers(2, 3), numbers(4, 3), [1]),
            "[linear_cross_entropy] expected hidden of shape [1, D], got [2, 3]",
        ),
        (
            lambda: ops.linear_cross_entropy(numbers(2, 3), numbers(4, 5), [1, 2]),
            "[linear_cross_entropy] expected weight of shape [V, 3], got [4, 5]",
        ),
        (lambda: ops.linear_cross_entropy(numbers(2, 3), numbers(4, 3), [1, 4]), "label"),
        (lambda: ops.linear_cross_entropy(numbers(2, 3), numbers(4, 3), [1, -1]), "label"),
        (
            lambda: ops.linear_cross_entropy(numbers(2, 3), numbers(4, 3), [1, 2], reduction="none"),
            '[linear_cross_entropy] expected reduction "mean" or "sum", got "none"',
        ),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
