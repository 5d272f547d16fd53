"""Tensor and the tape: memory shared with NumPy and others, arithmetic and its gradients, backward."""

from __future__ import annotations

import gc
import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from closeness import assert_close, numeric_gradients

import attnkit
from attnkit import _core

MEGABYTE = 1 << 18  # numbers


def numbers(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


# --- memory


def test_a_float32_array_is_shared_both_ways() -> None:
    array = numbers(3, 4)
    x = attnkit.tensor(array)
    array[1, 2] = 7.0
    assert x.numpy()[1, 2] == 7.0
    x.numpy()[0, 0] = -5.0
    assert array[0, 0] == -5.0
    assert np.shares_memory(array, np.asarray(x))


def test_the_array_outlives_the_tensor_and_the_other_way_round() -> None:
    x = attnkit.tensor(numbers(100)) * 2.0
    view = x.numpy()
    expected = view.copy()
    del x
    gc.collect()
    attnkit.tensor(np.zeros(100)) + 1.0  # would take the freed block
    np.testing.assert_array_equal(view, expected)

    array = numbers(50)
    expected = array.copy()
    y = attnkit.tensor(array)
    del array
    gc.collect()
    np.testing.assert_array_equal(y.numpy(), expected)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float64).reshape(2, 3),
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.arange(6, dtype=np.float32).reshape(3, 2).T,
        np.arange(12, dtype=np.float32).reshape(2, 6)[:, ::2],
        np.frombuffer(b"\0" + np.arange(6, dtype=np.float32).tobytes(), np.float32, offset=1).reshape(2, 3),
    ],
    ids=["float64", "int64", "transposed", "strided", "misaligned"],
)
def test_other_arrays_are_converted_into_a_copy(array: np.ndarray) -> None:
    x = attnkit.tensor(array)
    np.testing.assert_array_equal(x.numpy(), array.astype(np.float32))
    assert not np.shares_memory(x.numpy(), array)
    assert x.numpy().flags.aligned and x.numpy().flags.c_contiguous


def test_a_read_only_array_is_never_written() -> None:
    array = numbers(4)
    array.flags.writeable = False
    before = array.copy()
    x = attnkit.tensor(array)
    x.numpy()[:] = 9.0
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(attnkit.ops.relu(array), np.maximum(before, 0))


def test_a_read_only_view_cannot_be_written() -> None:
    view = attnkit.tensor(numbers(4)).numpy(writable=False)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1, 1)])
def test_shapes_with_no_axis_or_no_number(shape: tuple[int, ...]) -> None:
    x = attnkit.tensor(np.ones(shape, np.float32), requires_grad=True)
    assert x.shape == shape and x.ndim == len(shape) and x.size == np.ones(shape).size
    y = (x * 3.0).sum()
    assert y.item() == 3.0 * x.size
    y.backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.full(shape, 3.0))


def test_array_protocol_converts_and_copies() -> None:
    x = attnkit.tensor(numbers(5))
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x, copy=True), x.numpy())
    with pytest.raises(ValueError, match=re.escape("[array] expected copy=None")):
        np.array(x, dtype=np.float64, copy=False)


def test_dlpack_to_numpy_shares_memory() -> None:
    x = attnkit.tensor(numbers(2, 3))
    x.numpy()[0, 0] = 4.0
    assert np.from_dlpack(x)[0, 0] == 4.0
    assert np.shares_memory(np.from_dlpack(x), x.numpy())
    assert attnkit.from_dlpack(x).shape == (2, 3)


def test_dlpack_with_pytorch_shares_memory_both_ways() -> None:
    torch = pytest.importorskip("torch")
    ours = attnkit.tensor(numbers(2, 3))
    theirs = torch.from_dlpack(ours)
    theirs[1, 1] = 42.0
    assert ours.numpy()[1, 1] == 42.0

    theirs = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    ours = attnkit.from_dlpack(theirs)
    ours.numpy()[0, 2] = -1.0
    assert theirs[0, 2].item() == -1.0
    np.testing.assert_array_equal(attnkit.from_dlpack(theirs.double()).numpy(), theirs.numpy())


# --- arithmetic

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
}
SHAPES = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1, 3), (4, 1)), ((), (2, 2)), ((1,), (5,)), ((2, 3, 4), (3, 1))]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_broadcast_and_so_do_their_gradients(name: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    op = OPERATORS[name]
    x, y = numbers(*shapes[0], seed=1), numbers(*shapes[1], seed=2, low=0.5, high=2.0)
    a, b = attnkit.tensor(x, requires_grad=True), attnkit.tensor(y, requires_grad=True)
    out = op(a, b)
    assert_close(out, op(x.astype(np.float64), y.astype(np.float64)))
    upstream = numbers(*out.shape, seed=3)
    out.backward(upstream)
    for leaf, expected in zip((a, b), numeric_gradients(op, [x, y], upstream), strict=True):
        assert_close(leaf.grad, expected, terms=out.size, scale=1.0)


UNARY: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "exp": (np.exp, -2.0),
    "log": (np.log, 0.2),
    "sqrt": (np.sqrt, 0.2),
    "tanh": (np.tanh, -2.0),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), -2.0),
    "relu": (lambda x: np.maximum(x, 0), -2.0),
    "silu": (lambda x: x / (1 + np.exp(-x)), -2.0),
}


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name: str) -> None:
    formula, low = UNARY[name]
    x = numbers(3, 7, seed=4, low=low, high=2.0)
    leaf = attnkit.tensor(x, requires_grad=True)
    out = getattr(leaf, name)()
    assert_close(out, formula(x.astype(np.float64)), terms=4)
    upstream = numbers(3, 7, seed=5)
    out.backward(upstream)
    (expected,) = numeric_gradients(formula, [x], upstream)
    assert_close(leaf.grad, expected, terms=4, scale=1.0)


@pytest.mark.parametrize("exponent", [2, 0.5, -1])
def test_powers(exponent: float) -> None:
    x = numbers(6, low=0.5, high=2.0)
    leaf = attnkit.tensor(x, requires_grad=True)
    out = leaf**exponent
    assert_close(out, x.astype(np.float64) ** exponent)
    out.sum().backward()
    assert_close(leaf.grad, exponent * x.astype(np.float64) ** (exponent - 1), terms=4)


def test_numbers_and_arrays_on_either_side() -> None:
    x = attnkit.tensor(np.array([1.0, 2.0, 4.0], np.float32))
    for other in (2, 2.0, True, np.float32(2), np.float64(2), np.array(2), np.array([2, 4, 8]), np.array([3.0])):
        as_array = np.asarray(other)
        np.testing.assert_array_equal((x - other).numpy(), x.numpy() - as_array)
        np.testing.assert_array_equal((other - x).numpy(), as_array - x.numpy())
        np.testing.assert_array_equal((x * other).numpy(), x.numpy() * as_array)
        np.testing.assert_array_equal((other / x).numpy(), (as_array / x.numpy()).astype(np.float32))
    np.testing.assert_array_equal((-x).numpy(), -x.numpy())
    np.testing.assert_array_equal((x.reshape(1, 3) @ np.eye(3)).numpy(), [[1, 2, 4]])
    np.testing.assert_array_equal((np.eye(3) @ x.reshape(3, 1)).numpy(), [[1], [2], [4]])


@pytest.mark.parametrize(
    "other", [None, "2", np.array(["a"]), np.array([1j])], ids=["none", "text", "texts", "complex"]
)
def test_operands_that_are_no_real_numbers_are_refused(other: Any) -> None:
    with pytest.raises(TypeError):
        attnkit.tensor(numbers(3)) + other


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -2])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sum_and_mean(axis: int | None, keepdims: bool) -> None:
    x = numbers(2, 3, 4)
    keep = keepdims and axis is not None
    for name in ("sum", "mean"):
        leaf = attnkit.tensor(x, requires_grad=True)
        out = getattr(leaf, name)(axis=axis, keepdims=keepdims)
        expected = getattr(x.astype(np.float64), name)(axis=axis, keepdims=keep)
        assert_close(out, expected, terms=24, scale=1.0)
        upstream = numbers(*out.shape, seed=6)
        out.backward(upstream)
        (gradient,) = numeric_gradients(
            lambda y, name=name: np.asarray(getattr(y, name)(axis=axis, keepdims=keep)), [x], upstream
        )
        assert_close(leaf.grad, gradient, scale=1.0)


INDEXES = [
    0,
    -1,
    slice(1, 3),
    slice(None),
    slice(-2, None),
    slice(3, 1),
    (slice(None), 2),
    (1, slice(1, 3)),
    (2, -1, 0),
]


@pytest.mark.parametrize("index", INDEXES, ids=str)
def test_indexing_and_its_gradient(index: Any) -> None:
    x = numbers(3, 4, 5)
    leaf = attnkit.tensor(x, requires_grad=True)
    out = leaf[index]
    np.testing.assert_array_equal(out.numpy(), x[index])
    upstream = numbers(*out.shape, seed=7)
    out.backward(upstream)
    expected = np.zeros_like(x)
    expected[index] = upstream
    assert leaf.grad is not None
    np.testing.assert_array_equal(leaf.grad.numpy(), expected)


def test_indices_that_do_not_fit() -> None:
    x = attnkit.tensor(numbers(2, 3))
    for index in (2, -3, (0, 3)):
        with pytest.raises(IndexError, match=re.escape("[index] expected an index below")):
            x[index]
    for odd in (None, 1.5, ..., True, np.array([0, 1])):
        with pytest.raises(TypeError, match=re.escape("[index] expected integers and slices")):
            x[odd]  # type: ignore[index]
    with pytest.raises(ValueError, match=re.escape("[index] expected a slice of step 1")):
        x[::2]
    with pytest.raises(ValueError, match=re.escape("[index] expected at most 2 indices, got 3")):
        x[0, 0, 0]
    assert [row.numpy().tolist() for row in x] == x.numpy().tolist()


def test_reshape_transpose_permute_and_their_gradients() -> None:
    x = numbers(2, 3, 4)
    upstream = numbers(24, seed=8)
    moves: list[tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = [
        (lambda t: t.reshape(4, 6), lambda a: a.reshape(4, 6)),
        (lambda t: t.reshape((-1, 2)), lambda a: a.reshape(-1, 2)),
        (lambda t: t.transpose(0, 2), lambda a: a.swapaxes(0, 2)),
        (lambda t: t.transpose(-1, -2), lambda a: a.swapaxes(-1, -2)),
        (lambda t: t.permute(2, 0, 1), lambda a: a.transpose(2, 0, 1)),
        (lambda t: t.permute((1, 0, 2)), lambda a: a.transpose(1, 0, 2)),
    ]
    for ours, theirs in moves:
        leaf = attnkit.tensor(x, requires_grad=True)
        out = ours(leaf)
        np.testing.assert_array_equal(out.numpy(), theirs(x))
        out.backward(upstream.reshape(out.shape))
        places = theirs(np.arange(24).reshape(2, 3, 4)).reshape(-1)
        expected = np.empty(24, np.float32)
        expected[places] = upstream
        assert leaf.grad is not None
        np.testing.assert_array_equal(leaf.grad.numpy().reshape(-1), expected)


def _two(shape: tuple[int, ...]) -> attnkit.Tensor:
    return attnkit.tensor(np.ones(shape, np.float32))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _two((2, 3)) + _two((2, 4)), "[add] expected shapes that broadcast, got [2, 3] and [2, 4]"),
        (lambda: _two((2, 3)) / _two((4, 3)), "[divide] expected shapes that broadcast, got [2, 3] and [4, 3]"),
        (lambda: _two((2, 3)) @ _two((2, 3)), "[matmul] expected shapes [..., M, K] and [..., K, N], got [2, 3]"),
        (lambda: _two((2, 3)).reshape(5), "[reshape] expected a shape of 6 numbers, got [5]"),
        (lambda: _two((2, 3)).transpose(0, 2), "[transpose] expected axes of [2, 3], got 0 and 2"),
        (lambda: _two((2, 3)).permute(0), "[permute] expected 2 axes, got 1"),
        (lambda: _two((2, 3)).permute(0, 0), "[permute] expected each axis once, got [0, 0]"),
        (lambda: _two((2, 3)).sum(axis=2), "[sum] expected an axis from -2 to 1, got 2"),
        (lambda: _two((2, 3)).item(), "[item] expected a tensor of one number, got shape [2, 3]"),
        (lambda: _two((2,)).copy_(np.ones(3, np.float32)), "[copy_] expected shape [2], got [3]"),
        (lambda: _two((2,)) ** 3, "[pow] expected an exponent of 2, 0.5 or -1, got 3"),
        (lambda: attnkit.ops.concatenate([_two((2, 3)), _two((3, 3))], 1), "[concatenate] expected shape [2, 3], got"),
        (lambda: attnkit.ops.gather_rows(_two((2, 3)), [0, 2]), "[gather_rows] expected rows from 0 to 1, got 2"),
        (lambda: attnkit.ops.gather_rows(_two((2, 3)), [0.5]), "[rows] expected integers, got float64"),
        (lambda: attnkit.ops.gather_rows(_two((2, 3)), [1 << 40]), "[rows] expected numbers that fit 32 bits"),
    ],
)  # fmt: skip
def test_errors_say_what_was_expected(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


# --- backward


def test_gradients_add_up_over_uses_and_calls() -> None:
    x = attnkit.tensor(np.array([2.0, 3.0], np.float32), requires_grad=True)
    y = x * x + x + x  # x reaches the end by four ways
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [6.0, 8.0])
    first = x.grad
    (x * 10.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [16.0, 18.0])
    np.testing.assert_array_equal(first, [6.0, 8.0])  # what the user holds stays as it was
    x.zero_grad()
    assert x.grad is None


def test_the_embedding_gradient_does_not_write_into_one_that_the_user_holds() -> None:
    weight = attnkit.tensor(numbers(4, 2), requires_grad=True)
    attnkit.ops.embedding([1, 1, 3], weight).sum().backward()
    first = weight.grad
    before = np.array(first, copy=True)
    np.testing.assert_array_equal(before, [[0, 0], [2, 2], [0, 0], [1, 1]])
    attnkit.ops.embedding([0], weight).sum().backward()
    np.testing.assert_array_equal(first, before)
    np.testing.assert_array_equal(weight.grad, np.add(before, [[1, 1], [0, 0], [0, 0], [0, 0]]))


def test_two_leaves_never_share_a_gradient() -> None:
    x, y = (attnkit.tensor(numbers(3, seed=s), requires_grad=True) for s in (1, 2))
    upstream = attnkit.tensor(np.ones(3, np.float32))
    (x + y).backward(upstream)
    assert x.grad is not None and y.grad is not None
    x.grad.numpy()[:] = 5.0
    np.testing.assert_array_equal(y.grad, [1, 1, 1])
    np.testing.assert_array_equal(upstream, [1, 1, 1])


def test_shared_results_are_differentiated_once_each() -> None:
    calls = []

    class Counted(attnkit.Function):
        @staticmethod
        def forward(ctx: Any, x: attnkit.Tensor) -> attnkit.Tensor:
            return x * 2.0

        @staticmethod
        def backward(ctx: Any, dy: attnkit.Tensor) -> attnkit.Tensor:
            calls.append(dy.numpy().copy())
            return dy * 2.0

    x = attnkit.tensor(np.array([1.0], np.float32), requires_grad=True)
    shared = Counted.apply(x)
    (shared * 3.0 + shared * shared).sum().backward()
    assert len(calls) == 1 and calls[0] == [3.0 + 2 * 2.0]
    np.testing.assert_array_equal(x.grad, [14.0])


def test_a_second_backward_is_refused() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=re.escape("[backward] the values saved for this graph were freed")):
        y.backward()
    shared = x * x
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="freed"):
        (shared * 2.0).sum().backward()


def test_backward_needs_a_scalar_or_a_gradient_that_fits() -> None:
    x = attnkit.tensor(numbers(2, 3), requires_grad=True)
    with pytest.raises(ValueError, match=re.escape("[backward] expected a scalar, or a gradient of shape [2, 3]")):
        (x * 2.0).backward()
    with pytest.raises(ValueError, match=re.escape("[backward] expected a gradient of shape [2, 3], got [3]")):
        (x * 2.0).backward(np.ones(3, np.float32))
    with pytest.raises(
        ValueError, match=re.escape("[backward] expected a tensor computed from one with requires_grad")
    ):
        attnkit.tensor(numbers(1)).backward()
    with pytest.raises(ValueError, match=re.escape("[grad] expected shape [2, 3], got [1]")):
        x.grad = attnkit.tensor(numbers(1))
    with pytest.raises(ValueError, match=re.escape("[requires_grad] expected a tensor that no op computed")):
        (x * 2.0).requires_grad = False


def test_no_grad_detach_and_leaves() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    with attnkit.no_grad():
        y = x * 2.0
        with attnkit.no_grad():
            pass
        assert not (x * 2.0).requires_grad  # leaving the inner block changes nothing
    assert not y.requires_grad and y.is_leaf
    z = x * 2.0
    assert z.requires_grad and not z.is_leaf
    assert not z.detach().requires_grad and np.shares_memory(z.detach().numpy(), z.numpy())
    with pytest.raises(KeyError), attnkit.no_grad():
        raise KeyError
    assert (x * 2.0).requires_grad


def test_no_grad_is_of_one_thread() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    recorded = []
    with attnkit.no_grad():
        other = threading.Thread(target=lambda: recorded.append((x * 2.0).requires_grad))
        other.start()
        other.join()
    assert recorded == [True]


class Probe(attnkit.Function):
    """The identity; notes how much memory is in use when backward comes by."""

    seen: ClassVar[list[int]] = []

    @staticmethod
    def forward(ctx: Any, x: attnkit.Tensor) -> attnkit.Tensor:
        return x

    @staticmethod
    def backward(ctx: Any, dy: attnkit.Tensor) -> attnkit.Tensor:
        Probe.seen.append(_core.memory_stats()["bytes_in_use"])
        return dy


def test_backward_frees_as_it_goes() -> None:
    x = attnkit.tensor(numbers(MEGABYTE), requires_grad=True)
    before = _core.memory_stats()["bytes_in_use"]
    y = x
    for _ in range(8):
        y = Probe.apply(y.tanh())
    loss = y.sum()
    del y
    Probe.seen.clear()
    loss.backward()
    freed = -np.diff(Probe.seen)
    assert len(freed) == 7 and (freed >= MEGABYTE * 4).all(), freed
    assert _core.memory_stats()["bytes_in_use"] - before < 3 * MEGABYTE * 4  # the gradient alone is left


def test_a_graph_that_is_dropped_is_freed() -> None:
    x = attnkit.tensor(numbers(MEGABYTE), requires_grad=True)
    before = _core.memory_stats()["bytes_in_use"]
    y = (x.tanh() * x.exp()).sum()
    assert _core.memory_stats()["bytes_in_use"] >= before + 3 * MEGABYTE * 4
    del y
    assert _core.memory_stats()["bytes_in_use"] == before


@pytest.mark.parametrize("differentiate", [True, False])
def test_a_long_chain_does_not_overflow_the_stack(differentiate: bool) -> None:
    outcome = []

    def build() -> None:
        x = attnkit.tensor(np.ones(1, np.float32), requires_grad=True)
        y = x
        for _ in range(100_000):
            y = y + 1.0
        if differentiate:
            y.backward()
        outcome.append((y.item(), x.grad))

    # A thread of 256 KB: a recursion of one frame a node could not pass unnoticed.
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    ((value, grad),) = outcome
    assert value == 100_001.0
    assert (grad is not None and grad.item() == 1.0) if differentiate else grad is None


def test_backward_leaves_the_gil_to_others() -> None:
    x = attnkit.tensor(numbers(600, 600), requires_grad=True)
    y = x
    for _ in range(40):
        y = (y @ x) * 0.01
    loss = y.sum()
    ticks: list[float] = []
    stop = threading.Event()

    def tick() -> None:
        while not stop.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.0005)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)  # nobody is made to give up the GIL: only what gives it up itself lets the other run
    other = threading.Thread(target=tick)
    try:
        other.start()
        begin = time.perf_counter()
        loss.backward()
        end = time.perf_counter()
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        other.join()
    margin = 0.1 * (end - begin)
    assert sum(begin + margin < t < end - margin for t in ticks) >= 3


# --- functions written in Python


class Scale(attnkit.Function):
    """x · y and x + y, by a formula for each gradient; `factor` is no tensor."""

    @staticmethod
    def forward(ctx: Any, x: attnkit.Tensor, factor: float, y: attnkit.Tensor) -> tuple[attnkit.Tensor, attnkit.Tensor]:
        assert not (x * y).requires_grad  # works outside the tape
        ctx.x, ctx.y, ctx.factor = x, y, factor
        return x * y * factor, x + y

    @staticmethod
    def backward(ctx: Any, dproduct: Any, dsum: Any) -> tuple[Any, Any]:
        dx = dproduct * ctx.y * ctx.factor
        dy = dproduct * ctx.x * ctx.factor
        return (dx, dy) if dsum is None else (dx + dsum, dy + dsum)


@pytest.mark.parametrize("both", [True, False])
def test_a_function_of_several_inputs_and_outputs(both: bool) -> None:
    x, y = numbers(2, 3, seed=1), numbers(2, 3, seed=2)
    a, b = attnkit.tensor(x, requires_grad=True), attnkit.tensor(y, requires_grad=True)
    product, total = Scale.apply(a, 3.0, b)
    ((product + total) if both else product).sum().backward()
    assert_close(a.grad, 3.0 * y.astype(np.float64) + both)
    assert_close(b.grad, 3.0 * x.astype(np.float64) + both)


def _function_with_backward(backward: Callable[..., Any]) -> type[attnkit.Function]:
    class Given(attnkit.Function):
        @staticmethod
        def forward(ctx: Any, x: attnkit.Tensor, y: attnkit.Tensor) -> attnkit.Tensor:
            return x + y

    Given.backward = staticmethod(lambda ctx, dy: backward(dy))  # type: ignore[method-assign]
    return Given


def _raise(dy: attnkit.Tensor) -> Any:
    raise ZeroDivisionError("from inside")


@pytest.mark.parametrize(
    ("backward", "error", "message"),
    [
        (_raise, ZeroDivisionError, "from inside"),
        (lambda dy: dy, ValueError, "[function] expected 2 gradients from backward, got 1"),
        (lambda dy: (dy, dy, dy), ValueError, "[function] expected 2 gradients from backward, got 3"),
        (lambda dy: (dy, np.ones(3)), TypeError, "[function] expected a Tensor or None from backward, got ndarray"),
        (lambda dy: (dy, dy.sum()), ValueError, "[backward] expected a gradient of shape [3], got []"),
    ],
    ids=["raises", "too few", "too many", "no tensor", "wrong shape"],
)
def test_errors_inside_a_backward_reach_the_caller(
    backward: Callable[..., Any], error: type[Exception], message: str
) -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    given = _function_with_backward(backward)
    loss = given.apply(x * 2.0, x).sum()
    with pytest.raises(error, match=re.escape(message)):
        loss.backward()
    del loss
    x.zero_grad()
    (x * 2.0).sum().backward()  # the tape works as before
    np.testing.assert_array_equal(x.grad, [2, 2, 2])


def test_an_input_may_have_no_gradient() -> None:
    x = attnkit.tensor(numbers(3), requires_grad=True)
    y = attnkit.tensor(numbers(3), requires_grad=True)
    _function_with_backward(lambda dy: (dy * 5.0, None)).apply(x, y).sum().backward()
    np.testing.assert_array_equal(x.grad, [5, 5, 5])
    assert y.grad is None


def test_a_function_without_a_gradient_to_give_is_not_recorded() -> None:
    x = attnkit.tensor(numbers(3))
    assert Scale.apply(x, 1.0, x)[0].is_leaf


def test_repr_shows_numbers_shape_and_gradient() -> None:
    assert repr(attnkit.tensor([1.0, 2.0])) == "Tensor([1. 2.], shape=[2])"
    assert "requires_grad=True" in repr(attnkit.tensor([1.0], requires_grad=True))
    assert len(attnkit.tensor(np.zeros((3, 2)))) == 3 and bool(attnkit.tensor(1.0)) and not bool(attnkit.tensor(0.0))
    with pytest.raises(TypeError, match="expected at least one axis"):
        len(attnkit.tensor(1.0))
