"""Queries that read a window of keys: what each op makes of it is what it makes of these keys alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from closeness import assert_close

import attnkit
from attnkit import _core, ops
from attnkit._core import Tensor

# Windows inside, over the ends, at one key, empty, turned around; a sentence without keys, one without queries.
QUERIES, KEYS = [3, 0, 2, 4, 1], [9, 3, 1, 40, 0]
QO, KO = (np.cumsum([0, *lengths]).astype(np.int32) for lengths in (QUERIES, KEYS))
BEGINS = np.array([-3, 2, 8, 0, 1, 30, 7, 5, -1, 0], np.int32)
ENDS = np.array([4, 7, 20, 1, 1, 60, 8, 3, 99, 5], np.int32)
T, S, D = int(QO[-1]), int(KO[-1]), 21
SENTENCE = np.repeat(np.arange(len(QUERIES)), QUERIES)
PAIRS = int(np.dot(QUERIES, KEYS))


def numbers(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def read() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every pair that is read: its place among the flat pairs, its query, its key."""
    places, queries, keys, start = [], [], [], 0
    for row, sentence in enumerate(SENTENCE):
        count = KEYS[sentence]
        inside = np.arange(max(0, BEGINS[row]), min(count, ENDS[row]))
        places += (start + inside).tolist()
        queries += [row] * len(inside)
        keys += (KO[sentence] + inside).tolist()
        start += count
    return np.array(places), np.array(queries), np.array(keys, np.int32)


PLACES, OF_QUERY, OF_KEY = read()
# The same as sentences of one query each, whose keys are copies of those that it reads.
ALONE_Q = np.arange(T + 1, dtype=np.int32)
ALONE_K = np.concatenate([[0], np.cumsum(np.bincount(OF_QUERY, minlength=T))]).astype(np.int32)


def spread(alone: np.ndarray) -> np.ndarray:
    flat = np.zeros(PAIRS, np.float32)
    flat[PLACES] = alone
    return flat


def run(op: Callable[..., Tensor], inputs: list[np.ndarray], upstream: np.ndarray) -> list[np.ndarray]:
    """The result and the gradient of each input."""
    tensors = [attnkit.tensor(x.copy(), requires_grad=True) for x in inputs]
    result = op(*tensors)
    result.backward(upstream)
    gradients = [np.zeros_like(x) if t.grad is None else np.array(t.grad) for x, t in zip(inputs, tensors, strict=True)]
    return [np.array(result.numpy()), *gradients]


WINDOW: dict[str, Any] = {"begins": BEGINS, "ends": ENDS}
CENTRES = numbers(T, seed=5) * 3 + 4


def gaussian(weights: Tensor, centres: Tensor) -> Tensor:
    return ops.ragged_gaussian(weights, centres, 2.0, QO, KO, **WINDOW)


def scores(query: Tensor, key: Tensor) -> Tensor:
    return ops.ragged_dots(query, key, QO, KO, **WINDOW)


def additive(query: Tensor, key: Tensor, v: Tensor, w: Tensor) -> Tensor:
    return ops.ragged_additive(query, key, v, QO, KO, attnkit.tensor(COVERAGE), w, **WINDOW)


COVERAGE = np.abs(numbers(PAIRS, seed=7))


def test_scores_of_windows(isa: str, threads: int) -> None:
    query, key, v, w = numbers(T, D, seed=1), numbers(S, D, seed=2), numbers(D, seed=3), numbers(D, seed=4)
    upstream = numbers(PAIRS, seed=6)
    dots, dquery, dkey = run(scores, [query, key], upstream)
    assert_close(dots, spread(np.einsum("pd,pd->p", query[OF_QUERY], key[OF_KEY])), terms=D)
    weight = upstream[PLACES][:, None].astype(np.float64)
    for got, sums, rows in ((dquery, key[OF_KEY], OF_QUERY), (dkey, query[OF_QUERY], OF_KEY)):
        expected = np.zeros(got.shape)
        np.add.at(expected, rows, weight * sums)
        assert_close(got, expected, terms=40)

    hidden = np.tanh(query[OF_QUERY] + key[OF_KEY] + COVERAGE[PLACES][:, None] * w).astype(np.float64)
    got, dquery, dkey, dv, dw = run(additive, [query, key, v, w], upstream)
    assert_close(got, spread(hidden @ v), terms=8 * D)
    slope = weight * v * (1 - hidden**2)
    for gradient, rows in ((dquery, OF_QUERY), (dkey, OF_KEY)):
        expected = np.zeros(gradient.shape)
        np.add.at(expected, rows, slope)
        assert_close(gradient, expected, terms=8 * 40)
    assert_close(dv, (weight * hidden).sum(axis=0), terms=8 * len(PLACES))
    assert_close(dw, (slope * COVERAGE[PLACES][:, None]).sum(axis=0), terms=8 * len(PLACES))


def test_softmax_and_gaussian_of_windows_are_those_of_their_keys_alone(isa: str) -> None:
    flat, upstream = numbers(PAIRS, seed=1), numbers(PAIRS, seed=2)
    got = run(lambda x: ops.ragged_softmax(x, QO, KO, **WINDOW), [flat], upstream)
    alone = run(lambda x: ops.ragged_softmax(x, ALONE_Q, ALONE_K), [flat[PLACES]], upstream[PLACES])
    for part, expected in zip(got, alone, strict=True):
        assert_close(part, spread(expected), terms=40)

    result, dweights, dcentres = run(gaussian, [flat, CENTRES], upstream)
    begins = np.clip(BEGINS, 0, np.array(KEYS)[SENTENCE])
    inside = np.concatenate([np.arange(n) for n in np.diff(ALONE_K)]) + begins[OF_QUERY]
    distance = inside - CENTRES[OF_QUERY].astype(np.float64)
    bell = np.exp(-(distance**2) / 8.0)
    assert_close(result, spread(flat[PLACES] * bell), terms=8)
    assert_close(dweights, spread(upstream[PLACES] * bell), terms=8)
    expected = np.zeros(T)
    np.add.at(expected, OF_QUERY, upstream[PLACES] * flat[PLACES] * bell * distance / 4.0)
    assert_close(dcentres, expected, terms=8 * 40)


def test_sums_of_windows_read_nothing_else(isa: str, threads: int) -> None:
    weights, value, upstream = numbers(PAIRS, seed=1), numbers(S, D, seed=2), numbers(T, D, seed=3)
    unread = np.ones(S, bool)
    unread[OF_KEY] = False
    value[unread] = np.nan
    got, dweights, dvalue = run(lambda w, v: ops.ragged_sums(w, v, QO, KO, **WINDOW), [weights, value], upstream)
    expected, dexpected = np.zeros((T, D)), np.zeros((S, D))
    np.add.at(expected, OF_QUERY, weights[PLACES][:, None].astype(np.float64) * value[OF_KEY])
    np.add.at(dexpected, OF_KEY, weights[PLACES][:, None].astype(np.float64) * upstream[OF_QUERY])
    assert_close(got, expected, terms=40)
    assert_close(dvalue, dexpected, terms=40)
    assert_close(dweights, spread(np.einsum("pd,pd->p", upstream[OF_QUERY], value[OF_KEY])), terms=D)


def test_gradients_of_many_keys_do_not_depend_on_the_number_of_threads() -> None:
    queries, keys = 300, 5000
    qo, ko = np.array([0, queries], np.int32), np.array([0, keys], np.int32)
    begins = np.linspace(-5, keys - 20, queries).astype(np.int32)
    query, key, upstream = numbers(queries, D, seed=1), numbers(keys, D, seed=2), numbers(queries * keys, seed=3)
    found = []
    before = _core.get_num_threads()
    try:
        for count in (1, 2):
            _core.set_num_threads(count)
            found.append(run(lambda q, k: ops.ragged_dots(q, k, qo, ko, begins, begins + 41), [query, key], upstream))
    finally:
        _core.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)


def test_windows_come_in_pairs_one_for_each_query() -> None:
    query, key = numbers(T, D, seed=1), numbers(S, D, seed=2)
    with pytest.raises(ValueError, match=r"\[ragged_dots\] expected begins and ends together"):
        ops.ragged_dots(query, key, QO, KO, BEGINS)
    with pytest.raises(ValueError, match=rf"\[ragged_dots\] expected {T} begins and ends, got 2 and {T}"):
        ops.ragged_dots(query, key, QO, KO, BEGINS[:2], ENDS)


def test_the_largest_score_is_picked_whatever_its_sign() -> None:
    qo, ko = np.array([0, 2], np.int32), np.array([0, 3], np.int32)
    flat = np.array([-3.0, -1.0, -2.0, -np.inf, -np.inf, -np.inf], np.float32)
    assert ops.ragged_pick(flat, qo, ko, scores=True).tolist() == [0, 1, 0, 0, 0, 0]
    assert not ops.ragged_pick(flat, qo, ko).any()
    with pytest.raises(ValueError, match="expected weights to draw a sample by, got scores"):
        ops.ragged_pick(flat, qo, ko, sample=True, scores=True)
