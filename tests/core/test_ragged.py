"""Attention between packed sentences, taken apart: against float64, finite differences, and its own other batches."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference_ragged as reference
from closeness import assert_close, numeric_gradients

import attnkit
from attnkit import _core, ops

# One query and key; empty sentences; no query, as in a decoder whose sentences have ended; many queries of one key.
QUERIES, KEYS = [2, 0, 1, 3, 0, 9, 1], [3, 2, 1, 17, 4, 1, 0]
WIDTHS = [1, 5, 16, 67, 130]


def offsets(lengths: list[int]) -> np.ndarray:
    return np.cumsum([0, *lengths]).astype(np.int32)


QO, KO = offsets(QUERIES), offsets(KEYS)
T, S, PAIRS = int(QO[-1]), int(KO[-1]), int(np.dot(QUERIES, KEYS))


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def doubles(*arrays: np.ndarray) -> list[np.ndarray]:
    return [array.astype(np.float64) for array in arrays]


def check_gradients(op: Callable[..., Any], formula: Callable[..., Any], inputs: list[np.ndarray], terms: int) -> None:
    """The gradient of each input against finite differences of the formula, and the same twice when used twice."""
    upstream = numbers(*np.shape(formula(*doubles(*inputs))), seed=99)
    tensors = [attnkit.tensor(x, requires_grad=True) for x in inputs]
    op(*tensors).backward(upstream)
    exact = numeric_gradients(formula, doubles(*inputs), upstream)
    for tensor, expected in zip(tensors, exact, strict=True):
        assert tensor.grad is not None
        assert_close(tensor.grad, expected, terms=terms, scale=1.0)


def same_with_threads(run: Callable[[], list[np.ndarray]]) -> None:
    before, results = _core.get_num_threads(), []
    try:
        for count in (1, 2):
            _core.set_num_threads(count)
            results.append(run())
    finally:
        _core.set_num_threads(before)
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


# --- scores


@pytest.mark.parametrize("width", WIDTHS)
def test_dots(width: int, isa: str, threads: int) -> None:
    query, key = numbers(T, width), numbers(S, width, seed=1)
    expected = reference.dots(*doubles(query, key), QO, KO)
    assert_close(ops.ragged_dots(query, key, QO, KO), expected, terms=width, scale=3.0)


def test_the_gradient_of_dots(isa: str) -> None:
    check_gradients(
        lambda q, k: ops.ragged_dots(q, k, QO, KO),
        lambda q, k: reference.dots(q, k, QO, KO),
        [numbers(T, 5), numbers(S, 5, seed=1)],
        terms=20,
    )


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("coverage", [False, True], ids=["plain", "coverage"])
def test_additive(width: int, coverage: bool, isa: str, threads: int) -> None:
    inputs = [numbers(T, width), numbers(S, width, seed=1), numbers(width, seed=2)]
    extra = [numbers(PAIRS, seed=3), numbers(width, seed=4)] if coverage else []
    expected = reference.additive(*doubles(*inputs), QO, KO, *doubles(*extra))
    scores = ops.ragged_additive(*inputs, QO, KO, *extra)
    assert_close(scores, expected, terms=width, scale=float(np.abs(inputs[2]).sum()) / np.sqrt(width))


@pytest.mark.parametrize("coverage", [False, True], ids=["plain", "coverage"])
def test_the_gradient_of_additive(coverage: bool, isa: str) -> None:
    inputs = [numbers(T, 5), numbers(S, 5, seed=1), numbers(5, seed=2)]
    extra = [numbers(PAIRS, seed=3), numbers(5, seed=4)] if coverage else []
    check_gradients(
        lambda q, k, v, *c: ops.ragged_additive(q, k, v, QO, KO, *c),
        lambda q, k, v, *c: reference.additive(q, k, v, QO, KO, *c),
        inputs + extra,
        terms=PAIRS,
    )


def test_large_arguments_of_additive() -> None:
    query, key, v = numbers(T, 8, scale=40.0), numbers(S, 8, seed=1, scale=40.0), numbers(8, seed=2)
    expected = reference.additive(*doubles(query, key, v), QO, KO)
    assert_close(ops.ragged_additive(query, key, v, QO, KO), expected, terms=64, scale=1.0)


# --- normalisers


def windows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    begins = random.integers(-3, 10, T).astype(np.int32)
    return begins, (begins + random.integers(0, 8, T)).astype(np.int32)


@pytest.mark.parametrize("window", [False, True], ids=["all", "window"])
def test_softmax(window: bool, isa: str, threads: int) -> None:
    scores, limits = numbers(PAIRS, scale=4.0), windows() if window else ()
    expected = reference.softmax(*doubles(scores), QO, KO, *limits)
    weights = ops.ragged_softmax(scores, QO, KO, *limits)
    assert_close(weights, expected, terms=4)
    if not window:
        rows = ops.ragged_sums(weights, np.ones((S, 1)), QO, KO)
        np.testing.assert_allclose(rows[: QO[-2]], 1.0, rtol=1e-6)


@pytest.mark.parametrize("window", [False, True], ids=["all", "window"])
def test_the_gradient_of_softmax(window: bool, isa: str) -> None:
    limits = windows() if window else ()
    check_gradients(
        lambda x: ops.ragged_softmax(x, QO, KO, *limits),
        lambda x: reference.softmax(x, QO, KO, *limits),
        [numbers(PAIRS)],
        terms=17,
    )


def test_a_query_that_sees_no_key_gives_zeros() -> None:
    begins = np.full(T, 50, np.int32)
    weights = ops.ragged_softmax(numbers(PAIRS), QO, KO, begins, begins + 2)
    np.testing.assert_array_equal(weights, np.zeros(PAIRS))
    lost = np.full(PAIRS, -np.inf, np.float32)
    np.testing.assert_array_equal(ops.ragged_softmax(lost, QO, KO), np.zeros(PAIRS))


def test_gaussian(isa: str, threads: int) -> None:
    weights, centres = np.abs(numbers(PAIRS)), np.abs(numbers(T, seed=1, scale=5.0))
    expected = reference.gaussian(*doubles(weights, centres), 2.5, QO, KO)
    assert_close(ops.ragged_gaussian(weights, centres, 2.5, QO, KO), expected, terms=4)


def test_the_gradient_of_gaussian(isa: str) -> None:
    check_gradients(
        lambda w, c: ops.ragged_gaussian(w, c, 1.5, QO, KO),
        lambda w, c: reference.gaussian(w, c, 1.5, QO, KO),
        [numbers(PAIRS), numbers(T, seed=1, scale=4.0)],
        terms=17,
    )


SHORT_Q, SHORT_K = offsets([2, 1, 0, 3, 1]), offsets([5, 1, 2, 7, 0])
SHORT_PAIRS = 10 + 1 + 21


def test_chain_marginals(threads: int) -> None:
    scores, transitions = numbers(SHORT_PAIRS, scale=2.0), numbers(2, 2, seed=1)
    expected = reference.chain_marginals(*doubles(scores, transitions), SHORT_Q, SHORT_K)
    marginals = ops.ragged_chain_marginals(scores, transitions, SHORT_Q, SHORT_K)
    assert_close(marginals, expected)
    assert ((marginals > 0) & (marginals < 1)).all()


def test_the_gradient_of_chain_marginals(threads: int) -> None:
    check_gradients(
        lambda x, t: ops.ragged_chain_marginals(x, t, SHORT_Q, SHORT_K),
        lambda x, t: reference.chain_marginals(x, t, SHORT_Q, SHORT_K),
        [numbers(SHORT_PAIRS), numbers(2, 2, seed=1)],
        terms=21,
    )


def test_chain_marginals_of_a_long_row_stay_finite() -> None:
    qo, ko = offsets([1]), offsets([2000])
    marginals = ops.ragged_chain_marginals(numbers(2000, scale=50.0), numbers(2, 2, scale=20.0), qo, ko)
    assert np.isfinite(marginals).all() and marginals.min() >= 0 and marginals.max() <= 1


# --- picks


def test_the_largest_weight() -> None:
    weights = ops.ragged_softmax(numbers(PAIRS), QO, KO)
    picked = ops.ragged_pick(weights, QO, KO)
    for q, k, pairs in reference.blocks(QO, KO):
        rows, shape = picked[pairs], (q.stop - q.start, k.stop - k.start)
        if rows.size:
            np.testing.assert_array_equal(rows.reshape(shape).argmax(1), weights[pairs].reshape(shape).argmax(1))
            np.testing.assert_array_equal(rows.reshape(shape).sum(1), 1.0)


def test_samples_follow_the_weights(threads: int) -> None:
    rows, p = 20_000, np.array([0.1, 0.0, 0.6, 0.3], np.float32)
    qo, ko = offsets([rows]), offsets([4])
    attnkit.manual_seed(3)
    picked = ops.ragged_pick(np.tile(p, rows), qo, ko, sample=True).reshape(rows, 4)
    np.testing.assert_array_equal(picked.sum(1), 1.0)
    assert picked[:, 1].sum() == 0.0
    np.testing.assert_allclose(picked.mean(0), p, atol=4 * np.sqrt(0.25 / rows))
    attnkit.manual_seed(3)
    np.testing.assert_array_equal(ops.ragged_pick(np.tile(p, rows), qo, ko, sample=True).reshape(rows, 4), picked)
    assert (ops.ragged_pick(np.tile(p, rows), qo, ko, sample=True).reshape(rows, 4) != picked).any()


def test_a_row_without_weight_picks_nothing() -> None:
    qo, ko = offsets([2]), offsets([3])
    for sample in (False, True):
        np.testing.assert_array_equal(ops.ragged_pick(np.zeros(6), qo, ko, sample), np.zeros(6))


def test_picks_hand_their_gradient_straight_through() -> None:
    weights, upstream = attnkit.tensor(np.abs(numbers(PAIRS)), requires_grad=True), numbers(PAIRS, seed=1)
    ops.ragged_pick(weights, QO, KO, sample=True).backward(upstream)
    assert weights.grad is not None
    np.testing.assert_array_equal(weights.grad.numpy(), upstream)


# --- sums and unit rows


@pytest.mark.parametrize("width", WIDTHS)
def test_sums(width: int, isa: str, threads: int) -> None:
    weights, value = numbers(PAIRS), numbers(S, width, seed=1)
    expected = reference.sums(*doubles(weights, value), QO, KO)
    assert_close(ops.ragged_sums(weights, value, QO, KO), expected, terms=17)


def test_the_gradient_of_sums(isa: str) -> None:
    check_gradients(
        lambda w, v: ops.ragged_sums(w, v, QO, KO),
        lambda w, v: reference.sums(w, v, QO, KO),
        [numbers(PAIRS), numbers(S, 5, seed=1)],
        terms=17,
    )


def test_key_sums(isa: str, threads: int) -> None:
    weights = numbers(PAIRS)
    assert_close(ops.ragged_key_sums(weights, QO, KO), reference.key_sums(*doubles(weights), QO, KO), terms=9)


def test_the_gradient_of_key_sums(isa: str) -> None:
    check_gradients(
        lambda w: ops.ragged_key_sums(w, QO, KO),
        lambda w: reference.key_sums(w, QO, KO),
        [numbers(PAIRS)],
        terms=1,
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_unit_rows(width: int, isa: str, threads: int) -> None:
    x = numbers(7, width)
    x[3] = 0.0
    assert_close(ops.unit_rows(x), reference.unit_rows(*doubles(x)), terms=4)


def test_the_gradient_of_unit_rows(isa: str) -> None:
    check_gradients(ops.unit_rows, reference.unit_rows, [numbers(4, 9)], terms=9)


# --- step by step


def test_split() -> None:
    x, upstream = numbers(9, 3), numbers(4, 3, seed=1)
    t = attnkit.tensor(x, requires_grad=True)
    parts = ops.split(t, [2, 0, 4, 3])
    for part, expected in zip(parts, np.split(x, [2, 2, 6]), strict=True):
        np.testing.assert_array_equal(part, expected)
    parts[2].backward(upstream)
    assert t.grad is not None
    np.testing.assert_array_equal(t.grad, np.concatenate([np.zeros((2, 3)), upstream, np.zeros((3, 3))]))


def test_write_rows() -> None:
    """h_{t + 1} = Σ over the rows written so far of weights · h, as a growing memory and as plain sums."""
    start, weights = numbers(1, 4), numbers(4, seed=1)
    t = attnkit.tensor(start, requires_grad=True)
    buffer, h = attnkit.tensor(np.zeros((4, 4), np.float32)), t
    plain, states = t, []
    for step in range(4):
        buffer = ops.write_rows(buffer, [step], h)
        h = ops.ragged_sums(weights * (np.arange(4) <= step), buffer, [0, 1], [0, 4]) * 0.5
    h.backward(numbers(1, 4, seed=2))
    assert t.grad is not None
    written = t.grad.numpy().copy()
    t.zero_grad()
    for _ in range(4):
        states.append(plain)
        plain = sum((state * float(w) for state, w in zip(states, weights, strict=False)), states[0] * 0.0) * 0.5
    plain.backward(numbers(1, 4, seed=2))
    assert_close(h, plain.numpy(), terms=4)
    assert_close(written, t.grad.numpy(), terms=4)


# --- batches


def test_a_memory_that_many_steps_read_gets_the_sum_of_their_gradients() -> None:
    key, query, v = numbers(S, 6), numbers(T, 6, seed=1), numbers(6, seed=2)

    def run(steps: int, computed: bool) -> np.ndarray:
        leaf = attnkit.tensor(key, requires_grad=True)
        memory = leaf * 1.0 if computed else leaf
        total: Any = 0.0
        for _ in range(steps):
            weights = ops.ragged_softmax(ops.ragged_additive(query, memory, v, QO, KO), QO, KO)
            total = total + (ops.ragged_sums(weights, memory, QO, KO) * numbers(T, 6, seed=3)).sum()
            total = total + (ops.ragged_dots(query, memory, QO, KO) * numbers(PAIRS, seed=4)).sum()
            total = total + (memory * 0.5).sum()
        total.backward()
        assert leaf.grad is not None
        return leaf.grad.numpy().copy()

    for computed in (False, True):
        assert_close(run(3, computed), 3.0 * run(1, computed).astype(np.float64), terms=16)


def test_a_sentence_does_not_depend_on_its_batch(isa: str) -> None:
    query, key, v = numbers(T, 37), numbers(S, 37, seed=1), numbers(37, seed=2)
    scores = ops.ragged_additive(query, key, v, QO, KO)
    weights = ops.ragged_softmax(scores, QO, KO)
    context = ops.ragged_sums(weights, key, QO, KO)
    for q, k, pairs in reference.blocks(QO, KO):
        qo, ko = offsets([q.stop - q.start]), offsets([k.stop - k.start])
        alone = ops.ragged_softmax(ops.ragged_additive(query[q], key[k], v, qo, ko), qo, ko)
        np.testing.assert_array_equal(alone, weights[pairs])
        np.testing.assert_array_equal(ops.ragged_sums(alone, key[k], qo, ko), context[q])
        np.testing.assert_array_equal(
            ops.ragged_dots(query[q], key[k], qo, ko), ops.ragged_dots(query, key, QO, KO)[pairs]
        )


def test_threads_change_nothing() -> None:
    lengths = [30, 1, 64, 17] * 8
    qo, ko = offsets(lengths), offsets(lengths[::-1])
    inputs = [numbers(qo[-1], 96), numbers(ko[-1], 96, seed=1), numbers(96, seed=2)]

    def run() -> list[np.ndarray]:
        query, key, v = (attnkit.tensor(x, requires_grad=True) for x in inputs)
        weights = ops.ragged_softmax(ops.ragged_additive(query, key, v, qo, ko), qo, ko)
        context = ops.ragged_sums(weights, key, qo, ko)
        context.backward(inputs[0])
        return [context.numpy(), *(t.grad.numpy() for t in (query, key, v) if t.grad is not None)]

    same_with_threads(run)


# --- errors


def expect(error: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        call()


def test_arguments_that_do_not_fit() -> None:
    query, key, v = numbers(T, 4), numbers(S, 4), numbers(4)
    expect(
        f"[ragged_dots] expected key of shape [S, 4], got [{S}, 3]", lambda: ops.ragged_dots(query, key[:, :3], QO, KO)
    )
    expect(
        "[ragged_dots] expected query_offsets from 0 to 16, got 0 to 15",
        lambda: ops.ragged_dots(query, key, QO[:-1], KO),
    )
    expect(
        "[ragged_dots] expected as many key offsets as query offsets, got 9 and 8",
        lambda: ops.ragged_dots(query, key, QO, [*KO, S]),
    )
    expect(
        "[ragged_dots] expected key_offsets that never fall, got 30 before 28",
        lambda: ops.ragged_dots(query, key, [0, 16, 16], [0, 30, 28]),
    )
    expect("[ragged_additive] expected v of shape [4], got [3]", lambda: ops.ragged_additive(query, key, v[:3], QO, KO))
    expect(
        "[ragged_additive] expected coverage and coverage_weight together",
        lambda: ops.ragged_additive(query, key, v, QO, KO, numbers(PAIRS)),
    )
    expect(f"[ragged_softmax] expected scores of shape [{PAIRS}], got [3]", lambda: ops.ragged_softmax(v[:3], QO, KO))
    expect(
        "[ragged_softmax] expected begins and ends together",
        lambda: ops.ragged_softmax(numbers(PAIRS), QO, KO, [0] * T),
    )
    expect(
        "[ragged_gaussian] expected sigma > 0, got 0",
        lambda: ops.ragged_gaussian(numbers(PAIRS), numbers(T), 0, QO, KO),
    )
    expect("[split] expected sizes that add up to 16, got 3", lambda: ops.split(query, [1, 2]))
    expect(
        "[write_rows] expected x of shape [1, 4], got [16, 4]",
        lambda: ops.write_rows(attnkit.tensor(key), [0], query),
    )
    expect(
        "[write_rows] expected rows from 0 to 27, got 28", lambda: ops.write_rows(attnkit.tensor(key), [28], query[:1])
    )
    expect(
        "[ragged_chain_marginals] expected transitions of shape [2, 2], got [2]",
        lambda: ops.ragged_chain_marginals(numbers(PAIRS), numbers(2), QO, KO),
    )
