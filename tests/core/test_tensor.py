"""Tensor: memory shared with NumPy and others, arithmetic and its gradients."""

from __future__ import annotations

import gc
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from closeness import assert_close, numeric_gradients

import attnkit
from attnkit import _core
from attnkit.explain import AttentionMap, DocumentMap


def numbers(*shape: int, seed: int = 0, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


# --- memory


@pytest.mark.cpu_only
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


class Labelled(np.ndarray):
    """NumPy makes a plain array of a subclass, over the same memory."""


@pytest.mark.cpu_only
@pytest.mark.parametrize("kind", [np.ndarray, Labelled])
def test_a_read_only_array_is_never_written(kind: type[np.ndarray]) -> None:
    array = numbers(4).view(kind)
    array.flags.writeable = False
    before = array.copy()
    x = attnkit.tensor(array)
    x.numpy()[:] = 9.0
    np.testing.assert_array_equal(array, before)
    borrowed = _core.from_array(np.asarray(array))
    assert not borrowed.numpy().flags.writeable
    for write in (
        lambda: borrowed.copy_(np.zeros(4, np.float32)),
        lambda: attnkit.ops.write_rows(borrowed, [0], attnkit.tensor(np.zeros(1))),
        lambda: attnkit.ops.batch_norm(numbers(2, 4), numbers(4), numbers(4), borrowed, borrowed, training=True),
    ):
        with pytest.raises(ValueError, match="expected memory that may be written, got a read-only array"):
            write()
    np.testing.assert_array_equal(array, before)
    np.testing.assert_array_equal(attnkit.ops.relu(array), np.maximum(before, 0))


@pytest.mark.parametrize(
    "op",
    [
        lambda x: attnkit.ops.dropout(x, 0.0),
        lambda x: attnkit.ops.split(x, [1, 3])[1],
        lambda x: attnkit.ops.add_dropout_layer_norm(None, x)[0],
    ],
    ids=["dropout", "split", "add_dropout_layer_norm"],
)
def test_a_result_is_not_the_callers_array(op: Callable[[np.ndarray], np.ndarray]) -> None:
    x = numbers(4, 5)
    before = x.copy()
    for given in x, memoryview(x):
        y = op(given)
        y *= 5.0
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    "call",
    [
        lambda: attnkit.ops.matmul(np.zeros((2**31, 0), np.float32), np.zeros((0, 2**31), np.float32)),
        lambda: attnkit.ops.linear(np.zeros((2**31, 0), np.float32), np.zeros((2**31, 0), np.float32)),
        lambda: _core.empty_parameter([2**62]),
    ],
    ids=["matmul", "linear", "parameter"],
)
def test_more_numbers_than_any_memory(call: Callable[[], Any]) -> None:
    with pytest.raises(MemoryError):
        call()


def test_a_weight_written_while_it_is_packed_is_packed_again() -> None:
    weight = attnkit.tensor(np.ones((2048, 2048), np.float32))
    weight = _core.parameter(weight.numpy())
    zeros = np.zeros((2048, 2048), np.float32)
    for _ in range(3):
        weight.copy_(zeros + 1.0)
        packing = threading.Thread(target=_core.pack, args=(weight, "fp32"))
        packing.start()
        weight.copy_(zeros)
        packing.join()
        assert not attnkit.ops.linear(np.ones((1, 2048), np.float32), weight).numpy().any()


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


@pytest.mark.cpu_only
def test_dlpack_to_numpy_shares_memory() -> None:
    x = attnkit.tensor(numbers(2, 3))
    x.numpy()[0, 0] = 4.0
    assert np.from_dlpack(x)[0, 0] == 4.0
    assert np.shares_memory(np.from_dlpack(x), x.numpy())
    assert attnkit.from_dlpack(x).shape == (2, 3)


@pytest.mark.cpu_only
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


def test_repr_shows_numbers_shape_and_gradient() -> None:
    assert repr(attnkit.tensor([1.0, 2.0])) == "Tensor([1. 2.], shape=[2])"
    assert "requires_grad=True" in repr(attnkit.tensor([1.0], requires_grad=True))
    assert len(attnkit.tensor(np.zeros((3, 2)))) == 3 and bool(attnkit.tensor(1.0)) and not bool(attnkit.tensor(0.0))
    with pytest.raises(TypeError, match="expected at least one axis"):
        len(attnkit.tensor(1.0))


@pytest.mark.parametrize(
    "array",
    [np.ones((2, 3), np.complex64), np.array(1 + 2j), [1 + 2j], np.array(["1.5"]), np.array([1], "m8[s]")],
    ids=["complex", "scalar", "list", "text", "time"],
)
def test_what_are_no_real_numbers_is_refused(array: npt.ArrayLike) -> None:
    for call in (attnkit.tensor, attnkit.ops.relu):
        with pytest.raises(TypeError, match=r"^\[tensor\] expected an array of real numbers, got "):
            call(array)


def test_complex_arrays_lose_no_half_anywhere() -> None:
    layer = attnkit.nn.Linear(2, 3)
    state = {name: array.astype(np.complex64) for name, array in layer.state_dict().items()}
    one = np.ones((1, 1), np.complex64)
    for call in (
        lambda: layer.load_state_dict(state),
        lambda: attnkit.ops.matmul(one, one),
        lambda: attnkit.ops.add_scaled_sequences(one.real, one.real, [0, 1], one[0]),
        lambda: AttentionMap(["a"], ["b"], one),
        lambda: DocumentMap([["a"]], [one[0]], one[0].real),
    ):
        with pytest.raises(TypeError, match="expected an array of real numbers, got complex64"):
            call()
