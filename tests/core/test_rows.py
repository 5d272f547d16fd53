"""Softmax, layer norm, cross-entropy, embedding and top-k: against float64, finite differences and PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import reference
from closeness import FLOAT32, assert_close, numeric_gradients
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import attnkit
from attnkit import _core, ops

# Around the borders of vectors, of rows held in registers, and of the blocks that long rows are cut into.
SHAPES = [(1, 1), (3, 2), (5, 7), (2, 16), (7, 17), (4, 64), (3, 100), (2, 129), (3, 513), (2, 2051), (1, 10_001)]
INFINITY = np.float32(np.inf)


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def off_alignment(array: np.ndarray) -> np.ndarray:
    """The same numbers, read-only, four bytes after a 64-byte border."""
    memory = np.empty(array.size + 32, np.float32)
    start = (-memory.ctypes.data // 4) % 16 + 1
    view = memory[start : start + array.size].reshape(array.shape)
    view[...] = array
    view.flags.writeable = False
    return view


def leaf(array: np.ndarray) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def gradient(t: attnkit.Tensor) -> np.ndarray:
    assert t.grad is not None
    return t.grad.numpy()


def doubles(*arrays: np.ndarray) -> list[np.ndarray]:
    return [array.astype(np.float64) for array in arrays]


def with_threads(run: Callable[[], list[np.ndarray]]) -> None:
    """`run` must give the same bytes with one thread and with two."""
    before = _core.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            _core.set_num_threads(threads)
            results.append(run())
    finally:
        _core.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


# --- softmax

SOFTMAXES = {"softmax": (ops.softmax, reference.softmax), "log_softmax": (ops.log_softmax, reference.log_softmax)}


@pytest.mark.parametrize("name", SOFTMAXES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax(name: str, shape: tuple[int, int], isa: str, threads: int) -> None:
    op, formula = SOFTMAXES[name]
    x = off_alignment(numbers(*shape, scale=4.0))
    assert_close(op(x), formula(x.astype(np.float64)), terms=4)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(0, 20), columns=st.integers(1, 300), scale=st.floats(0.01, 50))
def test_softmax_of_any_shape(isa: str, rows: int, columns: int, scale: float) -> None:
    x = numbers(rows, columns, seed=columns, scale=scale)
    out = ops.softmax(x)
    assert_close(out, reference.softmax(x.astype(np.float64)) if rows else x, terms=4)
    assert_close(out.sum(axis=-1), np.ones(rows), terms=4)


@pytest.mark.parametrize("name", SOFTMAXES)
@pytest.mark.parametrize("shape", [(4, 5), (2, 23), (1, 70)], ids=str)
def test_the_gradient_of_softmax(name: str, shape: tuple[int, int], isa: str) -> None:
    op, formula = SOFTMAXES[name]
    x, upstream = numbers(*shape), numbers(*shape, seed=1)
    t = leaf(x)
    op(t).backward(upstream)
    assert_close(gradient(t), numeric_gradients(formula, doubles(x), upstream)[0], terms=shape[1], scale=1.0)


@pytest.mark.parametrize("name", SOFTMAXES)
@pytest.mark.parametrize("shape", [(7, 64), (3, 5000), (2, 3, 19)], ids=str)
def test_softmax_against_pytorch(name: str, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    x, upstream = numbers(*shape, scale=3.0), numbers(*shape, seed=1)
    ours, theirs = leaf(x), torch.tensor(x, requires_grad=True)
    out, expected = SOFTMAXES[name][0](ours), getattr(torch, name)(theirs, -1)
    assert_close(out, expected.detach().numpy(), terms=4)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    assert_close(gradient(ours), theirs.grad.numpy(), terms=shape[-1])


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
def test_softmax_along_other_axes(axis: int) -> None:
    x = numbers(3, 4, 5)
    exact = np.moveaxis(reference.softmax(np.moveaxis(x.astype(np.float64), axis, -1)), -1, axis)
    assert_close(ops.softmax(x, axis=axis), exact, terms=4)


@pytest.mark.parametrize("columns", [3, 100, 5000])
def test_softmax_of_rows_that_are_not_finite(columns: int, isa: str) -> None:
    x = numbers(5, columns)
    x[0] = -INFINITY
    x[1, columns // 2] = INFINITY
    x[2, -1] = np.nan
    x[3, :-1] = -INFINITY
    x[4, 0] = -INFINITY
    out, logs = ops.softmax(x), ops.log_softmax(x)
    assert (out[0] == 0).all() and np.isneginf(logs[0]).all()
    assert np.isnan(out[1:3]).all() and np.isnan(logs[1:3]).all()
    assert (out[3, :-1] == 0).all() and out[3, -1] == 1
    assert np.isneginf(logs[3, :-1]).all() and logs[3, -1] == 0
    assert out[4, 0] == 0
    assert_close(out[4, 1:], reference.softmax(x[4, 1:].astype(np.float64)), terms=4)


def test_softmax_does_not_overflow(isa: str) -> None:
    x = np.array([[3e38, 3e38, -3e38], [-3e38, -3e38, -3e38]], np.float32)
    assert_close(ops.softmax(x), [[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])


def test_softmax_does_not_depend_on_threads(isa: str) -> None:
    x, upstream = numbers(300, 257), numbers(300, 257, seed=1)

    def run() -> list[np.ndarray]:
        results = []
        for op, _ in SOFTMAXES.values():
            t = leaf(x)
            out = op(t)
            out.backward(upstream)
            results += [out.numpy(), gradient(t)]
        return results

    with_threads(run)


@pytest.mark.parametrize("name", SOFTMAXES)
@pytest.mark.parametrize("columns", [100, 128])
def test_a_short_row_is_the_same_in_any_batch(name: str, columns: int, isa: str) -> None:
    """Whatever way its numbers take to memory."""
    op, few = SOFTMAXES[name][0], numbers(64, columns)
    many = np.tile(few, (1500, 1))
    assert many.nbytes > 36e6
    np.testing.assert_array_equal(op(many)[-64:], op(few))


def test_outputs_larger_than_the_cache(isa: str) -> None:
    """They are written past it, in whole vectors between unaligned ends: the same numbers as in pieces that are not."""
    x, upstream = numbers(2900, 2901), numbers(2900, 2901, seed=1)
    pieces = [slice(0, 1000), slice(1000, 2900)]
    masked = x.copy()
    masked[[0, 5, 6, -1]] = -np.inf  # rows that are stored beside their neighbours

    def softmax(rows: slice) -> list[np.ndarray]:
        t = leaf(masked[rows])
        out = ops.softmax(t)
        out.backward(upstream[rows])
        return [out.numpy(), gradient(t)]

    for op in (softmax, lambda rows: [ops.layer_norm(x[rows])]):
        whole = op(slice(None))
        for rows in pieces:
            for large, small in zip(whole, op(rows), strict=True):
                np.testing.assert_array_equal(large[rows], small)

    attnkit.manual_seed(1)
    large = ops.dropout(x, 0.5)
    attnkit.manual_seed(1)
    np.testing.assert_array_equal(large[:1000], ops.dropout(x[:1000], 0.5))
    assert abs(float((large[1000:] == 0).mean()) - 0.5) < 0.01


# --- layer norm


@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm(shape: tuple[int, int], affine: bool, isa: str, threads: int) -> None:
    x, weight, bias = off_alignment(numbers(*shape)), numbers(shape[1], seed=1), numbers(shape[1], seed=2)
    out = ops.layer_norm(x, weight, bias) if affine else ops.layer_norm(x)
    exact = reference.layer_norm(*doubles(x, weight, bias)) if affine else reference.layer_norm(x.astype(np.float64))
    # The mean is rounded, and then divided by the deviation.
    deviation = x.astype(np.float64).std(axis=-1).min()
    assert_close(out, exact, terms=shape[1], scale=float(np.abs(x).max() / deviation))


def test_layer_norm_of_numbers_far_from_zero(isa: str) -> None:
    """The variance is that of the deviations, not a difference of large sums."""
    x = numbers(4, 200) + np.float32(1000)
    assert_close(ops.layer_norm(x), reference.layer_norm(x.astype(np.float64)), terms=1000)


@pytest.mark.parametrize("shape", [(4, 5), (3, 18), (1, 40)], ids=str)
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_the_gradients_of_add_dropout_layer_norm(shape: tuple[int, int], residual: bool, p: float, isa: str) -> None:
    state = attnkit.random_state()
    arrays = [numbers(*shape), numbers(*shape, seed=1), numbers(shape[1], seed=2), numbers(shape[1], seed=3)]
    upstreams = np.stack([numbers(*shape, seed=4), numbers(*shape, seed=5)])

    def formula(x: np.ndarray, other: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
        total = (reference.dropout(x, p, state) if p else x) + (other if residual else 0.0)
        return np.stack([total, reference.layer_norm(total, weight, bias)])

    x, other, weight, bias = map(leaf, arrays)
    total, normed = ops.add_dropout_layer_norm(other if residual else None, x, weight, bias, p)
    exact = formula(*doubles(*arrays))
    assert_close(total, exact[0])
    assert_close(normed, exact[1], terms=16)
    # Both results are used: the gradient of the sum comes from two sides.
    ((total * upstreams[0]).sum() + (normed * upstreams[1]).sum()).backward()
    leaves = [x, other, weight, bias] if residual else [x, weight, bias]
    wanted = numeric_gradients(formula, doubles(*arrays), upstreams)
    for t, expected in zip(leaves, wanted if residual else [wanted[0], *wanted[2:]], strict=True):
        assert_close(gradient(t), expected, terms=shape[0] * shape[1], scale=2.0)


@pytest.mark.parametrize("only", ["total", "normed"])
def test_one_result_of_two_may_be_used(only: str) -> None:
    x, residual = leaf(numbers(3, 8)), leaf(numbers(3, 8, seed=1))
    total, normed = ops.add_dropout_layer_norm(residual, x)
    upstream = numbers(3, 8, seed=2)
    (total if only == "total" else normed).backward(upstream)
    both = x.numpy().astype(np.float64) + residual.numpy()
    formula = reference.layer_norm if only == "normed" else (lambda s: s)
    expected = numeric_gradients(formula, [both], upstream)[0]
    assert_close(gradient(x), expected, terms=16)
    assert_close(gradient(residual), expected, terms=16)


@pytest.mark.parametrize("shape", [(9, 64), (700, 33), (5, 3000)], ids=str)
def test_layer_norm_against_pytorch(shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    arrays = [numbers(*shape), numbers(shape[1], seed=1), numbers(shape[1], seed=2)]
    upstream = numbers(*shape, seed=3)
    ours, theirs = [leaf(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    out = ops.layer_norm(*ours, eps=1e-3)
    expected = torch.nn.functional.layer_norm(theirs[0], (shape[1],), theirs[1], theirs[2], 1e-3)
    assert_close(out, expected.detach().numpy(), terms=16)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    for t, peer in zip(ours, theirs, strict=True):
        assert_close(gradient(t), peer.grad.numpy(), terms=shape[0], scale=4.0)


def test_layer_norm_eps_counts() -> None:
    x = numbers(3, 10)
    assert (ops.layer_norm(x, eps=0.5) != ops.layer_norm(x)).any()
    assert_close(ops.layer_norm(x, eps=0.5), reference.layer_norm(x.astype(np.float64), eps=0.5), terms=4)
    np.testing.assert_array_equal(ops.layer_norm(np.ones((2, 6), np.float32)), np.zeros((2, 6)))


def test_layer_norm_does_not_depend_on_threads(isa: str) -> None:
    arrays = [numbers(900, 130), numbers(900, 130, seed=1), numbers(130, seed=2), numbers(130, seed=3)]

    def run() -> list[np.ndarray]:
        attnkit.manual_seed(5)
        x, residual, weight, bias = map(leaf, arrays)
        total, normed = ops.add_dropout_layer_norm(residual, x, weight, bias, 0.2)
        (total * arrays[1] + normed * arrays[0]).sum().backward()
        return [total.numpy(), normed.numpy(), *(gradient(t) for t in (x, residual, weight, bias))]

    with_threads(run)


# --- RMSNorm


@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
@pytest.mark.parametrize("affine", [True, False])
def test_rms_norm(shape: tuple[int, int], affine: bool, isa: str, threads: int) -> None:
    x, weight = off_alignment(numbers(*shape) + np.float32(2)), numbers(shape[1], seed=1)
    out = ops.rms_norm(x, weight) if affine else ops.rms_norm(x)
    assert_close(out, reference.rms_norm(*doubles(x, weight) if affine else doubles(x)), terms=shape[1])


@pytest.mark.parametrize("shape", [(4, 5), (3, 18), (1, 40)], ids=str)
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_the_gradients_of_add_dropout_rms_norm(shape: tuple[int, int], residual: bool, p: float, isa: str) -> None:
    state = attnkit.random_state()
    arrays = [numbers(*shape), numbers(*shape, seed=1), numbers(shape[1], seed=2)]
    upstreams = np.stack([numbers(*shape, seed=4), numbers(*shape, seed=5)])

    def formula(x: np.ndarray, other: np.ndarray, weight: np.ndarray) -> np.ndarray:
        total = (reference.dropout(x, p, state) if p else x) + (other if residual else 0.0)
        return np.stack([total, reference.rms_norm(total, weight)])

    x, other, weight = map(leaf, arrays)
    total, normed = ops.add_dropout_rms_norm(other if residual else None, x, weight, p)
    exact = formula(*doubles(*arrays))
    assert_close(total, exact[0])
    assert_close(normed, exact[1], terms=16)
    ((total * upstreams[0]).sum() + (normed * upstreams[1]).sum()).backward()
    leaves = [x, other, weight] if residual else [x, weight]
    wanted = numeric_gradients(formula, doubles(*arrays), upstreams)
    for t, expected in zip(leaves, wanted if residual else [wanted[0], wanted[2]], strict=True):
        assert_close(gradient(t), expected, terms=shape[0] * shape[1], scale=2.0)


@pytest.mark.parametrize("shape", [(9, 64), (700, 33), (5, 3000)], ids=str)
def test_rms_norm_against_pytorch(shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    arrays, upstream = [numbers(*shape) + np.float32(1), numbers(shape[1], seed=1)], numbers(*shape, seed=3)
    ours, theirs = [leaf(a) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]
    out = ops.rms_norm(*ours, eps=1e-3)
    expected = torch.nn.functional.rms_norm(theirs[0], (shape[1],), theirs[1], 1e-3)
    assert_close(out, expected.detach().numpy(), terms=16)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    for t, peer in zip(ours, theirs, strict=True):
        assert_close(gradient(t), peer.grad.numpy(), terms=shape[0], scale=4.0)


def test_rms_norm_does_not_depend_on_threads(isa: str) -> None:
    arrays = [numbers(900, 130), numbers(900, 130, seed=1), numbers(130, seed=2)]

    def run() -> list[np.ndarray]:
        attnkit.manual_seed(5)
        x, residual, weight = map(leaf, arrays)
        total, normed = ops.add_dropout_rms_norm(residual, x, weight, 0.2)
        (total * arrays[1] + normed * arrays[0]).sum().backward()
        return [total.numpy(), normed.numpy(), *(gradient(t) for t in (x, residual, weight))]

    with_threads(run)


def test_rms_norm_eps_counts_and_zeros_stay() -> None:
    x = numbers(3, 10)
    assert_close(ops.rms_norm(x, eps=0.5), reference.rms_norm(x.astype(np.float64), eps=0.5), terms=4)
    assert (ops.rms_norm(x, eps=0.5) != ops.rms_norm(x)).any()
    np.testing.assert_array_equal(ops.rms_norm(np.zeros((2, 6), np.float32)), np.zeros((2, 6)))


def test_what_rms_norm_cannot_read_is_named() -> None:
    x = numbers(2, 5)
    for call, message in (
        (lambda: ops.rms_norm(x, numbers(4)), "[rms_norm] expected weight of shape [5], got [4]"),
        (lambda: ops.rms_norm(np.float32(1)), "[rms_norm] expected at least one axis, got []"),
        (lambda: ops.add_dropout_rms_norm(x, x, p=1.0), "[rms_norm] expected dropout in [0, 1), got 1"),
        (
            lambda: ops.add_dropout_rms_norm(numbers(2, 4), x),
            "[rms_norm] expected residual of shape [2, 5], got [2, 4]",
        ),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            call()


# --- cross-entropy


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(shape: tuple[int, int], smoothing: float, isa: str, threads: int) -> None:
    logits = off_alignment(numbers(*shape, scale=3.0))
    labels = np.random.default_rng(1).integers(0, shape[1], shape[0]).astype(np.int32)
    exact = reference.cross_entropy(logits.astype(np.float64), labels, smoothing)
    assert_close(ops.cross_entropy(logits, labels, smoothing, reduction="none"), exact, terms=4, scale=8.0)
    assert_close(ops.cross_entropy(logits, labels, smoothing), exact.mean(), terms=4, scale=8.0)
    total = ops.cross_entropy(logits, labels, smoothing, reduction="sum")
    assert_close(total, exact.sum(), terms=4, scale=8.0 * shape[0])


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(4, 6), (3, 37)], ids=str)
def test_the_gradient_of_cross_entropy(smoothing: float, shape: tuple[int, int], isa: str) -> None:
    logits, labels = numbers(*shape), np.array([2, -100, 5, 0][: shape[0]], np.int32)
    t = leaf(logits)
    ops.cross_entropy(t, labels, smoothing).backward()

    def formula(x: np.ndarray) -> np.ndarray:
        return reference.cross_entropy(x, labels, smoothing).sum(keepdims=True)

    counted = int((labels != -100).sum())
    assert_close(gradient(t), numeric_gradients(formula, doubles(logits), [1.0 / counted])[0], terms=4)
    assert (gradient(t)[1] == 0).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy_against_pytorch(smoothing: float, reduction: str) -> None:
    torch = pytest.importorskip("torch")
    logits = numbers(40, 5000, scale=2.0)
    labels = np.random.default_rng(1).integers(0, 5000, 40).astype(np.int32)
    labels[[3, 9]] = 7
    ours, theirs = leaf(logits), torch.tensor(logits, requires_grad=True)
    out = ops.cross_entropy(ours, labels, smoothing, ignore_index=7, reduction=reduction)
    expected = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(labels, dtype=torch.int64), ignore_index=7, label_smoothing=smoothing, reduction=reduction
    )
    assert_close(out, expected.detach().numpy(), terms=16)
    out.backward()
    expected.backward()
    assert_close(gradient(ours), theirs.grad.numpy(), terms=4)
    assert (gradient(ours)[[3, 9]] == 0).all()


def test_the_logits_are_not_overwritten() -> None:
    logits = numbers(3, 20)
    t = leaf(logits.copy())
    ops.cross_entropy(t, np.array([1, 2, 3], np.int32)).backward()
    np.testing.assert_array_equal(t.numpy(), logits)


@pytest.mark.parametrize("label", [-1, 5, 2**31 - 1])
def test_labels_outside_the_vocabulary_are_refused(label: int) -> None:
    with pytest.raises(ValueError, match=re.escape("[cross_entropy] expected labels in [0, 5)")):
        ops.cross_entropy(numbers(2, 5), np.array([0, label], np.int32))


@pytest.mark.parametrize("smoothing", [-0.5, 1.5, float("nan")])
def test_label_smoothing_is_a_share(smoothing: float) -> None:
    with pytest.raises(ValueError, match=r"expected label_smoothing in \[0, 1\]"):
        ops.cross_entropy(numbers(2, 3), [0, 1], label_smoothing=smoothing)
    with pytest.raises(ValueError, match=r"expected label_smoothing in \[0, 1\]"):
        ops.linear_cross_entropy(numbers(2, 3), numbers(4, 3), [0, 1], label_smoothing=smoothing)


def test_an_unknown_reduction_is_refused() -> None:
    with pytest.raises(ValueError, match=r'expected "mean", "sum" or "none", got "max"'):
        ops.cross_entropy(numbers(2, 5), np.array([0, 1], np.int32), reduction="max")


# --- embedding


@pytest.mark.parametrize(("tokens", "vocabulary", "width"), [(1, 1, 1), (9, 4, 7), (50, 200, 33), (300, 20, 130)])
def test_embedding(tokens: int, vocabulary: int, width: int, isa: str, threads: int) -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, vocabulary, tokens).astype(np.int32)
    places = rng.integers(0, 12, tokens).astype(np.int32)
    weight, positions = numbers(vocabulary, width, seed=1), numbers(12, width, seed=2)
    np.testing.assert_array_equal(ops.embedding(ids, weight), weight[ids])
    exact = reference.embedding(weight.astype(np.float64), ids, 1.5, positions.astype(np.float64), places)
    assert_close(ops.embedding(ids, weight, 1.5, positions, places), exact)


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_the_gradients_of_embedding(p: float, isa: str) -> None:
    ids, places = np.array([3, 0, 3, 3, 1, 0], np.int32), np.array([0, 1, 2, 0, 1, 2], np.int32)
    weight, positions, upstream = numbers(5, 9), numbers(3, 9, seed=1), numbers(6, 9, seed=2)
    tables = [leaf(weight), leaf(positions)]
    state = attnkit.random_state()
    ops.embedding(ids, tables[0], 2.0, tables[1], places, dropout=p).backward(upstream)

    def formula(weight: np.ndarray, positions: np.ndarray) -> np.ndarray:
        out = reference.embedding(weight, ids, 2.0, positions, places)
        return reference.dropout(out, p, state) if p else out

    for t, expected in zip(tables, numeric_gradients(formula, doubles(weight, positions), upstream), strict=True):
        assert_close(gradient(t), expected, terms=4)


def test_the_embedding_gradient_is_that_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    ids = (np.random.default_rng(0).random(2000) ** 3 * 500).astype(np.int32)  # some words are frequent
    weight, upstream = numbers(500, 65), numbers(2000, 65, seed=1)
    ours, theirs = leaf(weight), torch.tensor(weight, requires_grad=True)
    ops.embedding(ids, ours).backward(upstream)
    torch.nn.functional.embedding(torch.tensor(ids, dtype=torch.int64), theirs).backward(torch.tensor(upstream))
    assert_close(gradient(ours), theirs.grad.numpy(), terms=64)


def test_a_frozen_table_gets_no_gradient() -> None:
    weight, positions = attnkit.tensor(numbers(5, 3)), leaf(numbers(4, 3))
    ops.embedding([1, 2], weight, position_weight=positions, position_ids=[0, 1]).sum().backward()
    assert weight.grad is None
    np.testing.assert_array_equal(gradient(positions), np.repeat([1.0, 0.0], 2)[:, None] * np.ones(3))


def test_the_embedding_gradient_does_not_depend_on_threads(isa: str) -> None:
    ids = (np.random.default_rng(0).random(3000) ** 3 * 100).astype(np.int32)
    weight, upstream = numbers(100, 70), numbers(3000, 70, seed=1)

    def run() -> list[np.ndarray]:
        attnkit.manual_seed(2)
        t = leaf(weight)
        out = ops.embedding(ids, t, dropout=0.1)
        out.backward(upstream)
        return [out.numpy(), gradient(t)]

    with_threads(run)


@pytest.mark.parametrize("bad", [-1, 4])
def test_ids_outside_the_table_are_refused(bad: int) -> None:
    ids = np.array([0, bad], np.int32)
    with pytest.raises(ValueError, match=re.escape("[embedding] expected ids in [0, 4)")):
        ops.embedding(ids, numbers(4, 3))
    with pytest.raises(ValueError, match=re.escape("[embedding] expected position ids in [0, 4)")):
        ops.embedding(np.array([0, 1], np.int32), numbers(4, 3), 1.0, numbers(4, 3), ids)


# --- column sums, through the bias of a linear layer


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 33), (1000, 17), (3000, 130)])
def test_the_gradient_of_a_bias_is_a_sum_of_columns(rows: int, columns: int, isa: str) -> None:
    upstream = numbers(rows, columns)

    def run() -> list[np.ndarray]:
        bias = leaf(np.zeros(columns, np.float32))
        ops.linear(np.ones((rows, 1), np.float32), np.ones((columns, 1), np.float32), bias).backward(upstream)
        assert_close(gradient(bias), upstream.astype(np.float64).sum(axis=0), terms=rows, scale=1.0)
        return [gradient(bias)]

    with_threads(run)


# --- top-k


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(1, 5), columns=st.integers(1, 700), data=st.data())
def test_top_k(isa: str, rows: int, columns: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, columns))
    x = np.round(numbers(rows, columns, seed=k) * 4)  # with many ties
    values, indices = _core.top_k(x, k)
    expected_values, expected_indices = reference.top_k(x, k)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(values, expected_values)


@pytest.mark.parametrize("order", [1, -1], ids=["rising", "falling"])
def test_top_k_of_sorted_rows(order: int, isa: str) -> None:
    x = np.arange(5000, dtype=np.float32)[None, ::order].copy()
    _, indices = _core.top_k(x, 7)
    np.testing.assert_array_equal(indices, reference.top_k(x, 7)[1])


def test_top_k_ranks_nan_lowest(isa: str) -> None:
    x = np.array([[np.nan, 1.0, np.nan, 3.0, -INFINITY, 2.0] + [np.nan] * 100], np.float32)
    values, indices = _core.top_k(x, 4)
    np.testing.assert_array_equal(indices[0, :3], [3, 5, 1])
    np.testing.assert_array_equal(values[0, :3], [3.0, 2.0, 1.0])
    assert indices[0, 3] == 0


def test_top_k_of_long_rows_with_nan_and_infinity(isa: str) -> None:
    x = numbers(3, 5000)
    x[:, ::3] = np.nan
    x[1, 400:404] = INFINITY
    x[2] = np.nan
    x[2, [77, 4000]] = 1.0, -INFINITY
    for k in (1, 5, 40):
        values, indices = _core.top_k(x, k)
        expected = reference.top_k(np.where(np.isnan(x), -INFINITY, x), k)[1]
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(values, np.take_along_axis(x, expected, axis=-1))


@pytest.mark.parametrize("k", [-1, 0, 6])
def test_top_k_of_more_than_there_is_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=r"\[top_k\] expected .* got"):
        _core.top_k(numbers(2, 5), k)


def test_tolerances_are_not_vacuous() -> None:
    """A bound that lets a wrong formula through would let everything through."""
    x = numbers(4, 30)
    with pytest.raises(AssertionError, match="off by"):
        assert_close(ops.softmax(x) * np.float32(1 + 64 * FLOAT32), reference.softmax(x.astype(np.float64)), terms=4)
