"""Sizes and arrays at the ends of what can be said: refused in a sentence, or answered at once."""

from __future__ import annotations

import time

import numpy as np
import pytest

import attnkit
from attnkit import _batching, _core, ops

MOST = 2**31 - 1


def test_queries_without_keys_cost_nothing() -> None:
    """No array says how many there are, only the offsets."""
    offsets, keys = np.array([0, 2, MOST], dtype=np.int64), np.array([0, 3, 3])
    weights = np.array([0.1, 0.7, 0.2, 0.3, 0.3, 0.4], dtype=np.float32)
    begin = time.monotonic()
    assert ops.ragged_pick(weights, offsets, keys).tolist() == [0, 1, 0, 0, 0, 1]
    assert ops.ragged_pick(weights, offsets, keys, sample=True).sum() == 2
    np.testing.assert_allclose(ops.ragged_softmax(weights, offsets, keys).sum(), 2, rtol=1e-6)
    transitions = np.zeros((2, 2), dtype=np.float32)
    np.testing.assert_allclose(
        ops.ragged_chain_marginals(weights, transitions, offsets, keys), 1 / (1 + np.exp(-weights)), rtol=1e-6
    )
    assert time.monotonic() - begin < 20  # it took minutes


@pytest.mark.parametrize("shape", [(2**32, 2**32, -1), (2**62, 4, -1), (-1, -1), (-2, -3, -1)])
def test_shapes_beyond_any_number(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        attnkit.tensor(np.zeros(6)).reshape(*shape)


@pytest.mark.parametrize("k", [2**62, 2**40, -1])
def test_more_tokens_than_there_are(k: int) -> None:
    hidden, weight = attnkit.tensor(np.zeros((3, 4))), attnkit.tensor(np.zeros((5, 4)))
    nobody = np.zeros(4, dtype=np.int32), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"\[best_tokens\] expected k"):
        _core.best_tokens(hidden, weight, None, k, *nobody)


def misaligned(array: np.ndarray) -> np.ndarray:
    memory = bytearray(array.nbytes + 1)
    found = np.frombuffer(memory, dtype=array.dtype, offset=1).reshape(array.shape)
    found[...] = array
    assert not found.flags.aligned
    return found


def test_misaligned_arrays_are_copied() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensor = _core.from_array(misaligned(x))
    assert np.asarray(tensor).ctypes.data % 4 == 0
    np.testing.assert_array_equal(np.asarray(tensor), x)
    ids = _core.embedding(misaligned(np.array([2, 0], dtype=np.int32)), _core.from_array(x), 1.0, None, None, 0.0)
    np.testing.assert_array_equal(np.asarray(ids), x[[2, 0]])
    np.testing.assert_array_equal(np.asarray(tensor + misaligned(x.astype(np.float64))), 2 * x)


def test_loops_of_batching_refuse_misaligned_arrays() -> None:
    lengths = np.array([4, 1, 4], dtype=np.int32)
    with pytest.raises(ValueError, match=r"\[cut_batches\] expected aligned arrays"):
        _batching.cut_batches(lengths, misaligned(lengths), 7, 3)
    offsets, chosen = np.array([0, 1, 3]), np.array([1])
    for which in range(3):
        arrays = [lengths, offsets, chosen]
        arrays[which] = misaligned(arrays[which])
        with pytest.raises(ValueError, match=r"\[pack\] expected aligned arrays"):
            _batching.pack(*arrays)


def test_sizes_whose_sum_or_product_is_beyond_any_number() -> None:
    with pytest.raises(ValueError, match=r"\[split\] expected sizes from 0 to 105"):
        ops.split(np.zeros(105, np.float32), [2**63 - 1, 2])
    with pytest.raises(ValueError, match="whose product fits"):
        ops.patches(np.zeros((1, 0, 0, 27), np.float32), (2**63 - 1, 2))


def test_sizes_that_are_no_numbers() -> None:
    x = attnkit.tensor(np.zeros((3, 3, 1)))
    with pytest.raises(TypeError, match=r"\[permute\] expected integers, got \(1, 0, \[\]\)"):
        x.permute(1, 0, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"\[reshape\] expected integers, got '(.xe4)+.{0,3} \.\.\.$"):
        x.reshape("\xe4" * 100)  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [2**64, -(2**64), 2**63, 3])
def test_an_index_beyond_any_length(index: int) -> None:
    with pytest.raises(IndexError, match=r"\[index\] expected an index below 3, got"):
        attnkit.tensor(np.zeros((2, 3)))[0, index]
