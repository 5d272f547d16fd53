"""Indices: ids, labels and offsets that were copied and looked through once."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit import Indices, _core, ops
from attnkit._tensor import index_array

OFFSETS = np.array([0, 2, 2, 5], np.int32)
IDS = np.array([3, 0, 4, 4, 1], np.int32)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def memory_of(indices: Indices) -> int:
    return int(indices.numpy().ctypes.data)


def known(array: np.ndarray) -> bool:
    """Whether ops take the array without a copy."""
    return isinstance(array, np.ndarray) and memory_of(Indices(array)) == array.ctypes.data


# --- making them


@pytest.mark.parametrize(
    "given",
    [
        [3, 0, 4, 4, 1],
        (3, 0, 4, 4, 1),
        IDS,
        IDS.astype(np.int64),
        IDS.astype(np.uint8),
        IDS.astype(">i4"),
        np.repeat(IDS, 2)[::2],
        IDS[::-1].copy()[::-1],
        [[3, 0, 4, 4, 1]],
        Indices(IDS),
    ],
)
def test_made_of_integers(given: Any) -> None:
    indices = Indices(given)
    assert indices.numpy().dtype == np.int32 and indices.shape == (5,)
    np.testing.assert_array_equal(indices.numpy(), IDS)


def test_made_of_an_array_at_an_odd_address() -> None:
    odd = np.zeros(21, np.int8)[1:].view(np.int32)
    assert not odd.flags.aligned and Indices(odd).tolist() == [0] * 5


@pytest.mark.parametrize("given", [[], np.zeros(0), np.zeros((0, 3), np.int32), np.zeros(0, bool)])
def test_none_at_all(given: Any) -> None:
    indices = Indices(given)
    assert len(indices) == 0 and indices.tolist() == [] and not indices.are_offsets
    assert indices.numpy().dtype == np.int32 and not indices.numpy().flags.writeable
    for extreme in (indices.min, indices.max):
        with pytest.raises(ValueError, match=re.escape("[indices] expected at least one number, got none")):
            extreme()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([0.5], "[offsets] expected integers, got float64"),
        ([True], "[offsets] expected integers, got bool"),
        (["a"], "[offsets] expected integers, got <U1"),
        (None, "[offsets] expected integers, got object"),
        ([0, 2**31], f"[offsets] expected numbers that fit 32 bits, got 0 to {2**31}"),
        ([-(2**31) - 1, 5], f"[offsets] expected numbers that fit 32 bits, got {-(2**31) - 1} to 5"),
        (np.array([2**63], np.uint64), f"[offsets] expected numbers that fit 32 bits, got {2**63} to {2**63}"),
    ],
)  # fmt: skip
def test_what_is_no_index(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Indices(given, "offsets")


def test_a_tensor_is_none() -> None:
    with pytest.raises(ValueError, match=re.escape("[ids] expected integers, got float32")):
        ops.embedding(attnkit.tensor([1.0]), numbers(3, 2))  # type: ignore[call-overload]


def test_extremes_and_offsets() -> None:
    indices = Indices([5, -7, 2])
    assert (indices.min(), indices.max(), indices.are_offsets) == (-7, 5, False)
    assert Indices(OFFSETS).are_offsets and Indices([0]).are_offsets
    assert not Indices([0, 3, 2]).are_offsets and not Indices([1, 2]).are_offsets


def test_a_write_afterwards_changes_nothing() -> None:
    """Neither the Indices nor the gradient of an op that read them."""
    given = IDS.copy()
    indices = Indices(given)
    table = attnkit.tensor(numbers(5, 2), requires_grad=True)
    results = [ops.embedding(given, table), ops.embedding(indices, table)]
    given[...] = 2
    assert indices.tolist() == IDS.tolist()
    for result in results:
        table.zero_grad()
        result.backward(np.ones((5, 2), np.float32))
        assert table.grad is not None
        np.testing.assert_array_equal(table.grad.numpy()[:, 0], np.bincount(IDS, minlength=5))


# --- as an array


def test_it_answers_as_numpy_does() -> None:
    indices = Indices(OFFSETS)
    assert len(indices) == indices.size == 4 and indices.ndim == 1 and indices.dtype == np.int32
    assert indices[1] == 2 and indices[-1] == 5 and list(indices) == [0, 2, 2, 5] and np.int32(5) in indices
    np.testing.assert_array_equal(indices[:-1], OFFSETS[:-1])
    np.testing.assert_array_equal(indices[[3, 0]], OFFSETS[[3, 0]])
    np.testing.assert_array_equal(indices[np.array([True, False, False, True])], [0, 5])
    np.testing.assert_array_equal(np.diff(indices), [2, 0, 3])
    np.testing.assert_array_equal(OFFSETS + indices, 2 * OFFSETS)
    assert indices.min() == 0 and indices.max() == 5 and np.asarray(indices).dtype == np.int32
    with pytest.raises(IndexError):
        indices[4]
    with pytest.raises(TypeError):
        indices[0] = 1  # type: ignore[index]


def test_arrays_of_it() -> None:
    indices = Indices(IDS)
    assert np.asarray(indices).ctypes.data == memory_of(indices)
    made = np.array(indices, copy=True)
    made[0] = 9
    assert indices[0] == 3
    assert np.asarray(indices, np.int64).dtype == np.int64
    with pytest.raises(ValueError, match=re.escape("[array] expected copy=None to convert from int32")):
        indices.__array__(np.int64, copy=False)


def test_its_views_cannot_be_written() -> None:
    indices = Indices(IDS)
    for view in indices.numpy(), np.asarray(indices), indices[1:], indices.numpy()[:].reshape(-1):
        with pytest.raises(ValueError, match="read-only"):
            view[0] = 1
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            view.setflags(write=True)


def test_a_view_outlives_it() -> None:
    view = Indices(np.arange(1000)).numpy()
    attnkit.Indices(np.zeros(1000, np.int32))  # takes the memory, if it was freed
    np.testing.assert_array_equal(view, np.arange(1000))


def test_what_is_known_is_not_copied() -> None:
    indices = Indices(IDS)
    for same in indices, indices.numpy(), np.asarray(indices), indices[:], indices.numpy().reshape(1, 5):
        assert memory_of(Indices(same)) == memory_of(indices)
    assert known(index_array(IDS)) and known(index_array(index_array(IDS)))
    for other in IDS, indices[1:], indices[::-1], indices.numpy().copy(), indices[:3]:
        assert not known(other)
        np.testing.assert_array_equal(Indices(other).numpy(), other)


def test_other_types_over_its_memory_are_not_taken_for_it() -> None:
    halves = Indices([1, 2]).numpy().view(np.int16)
    assert Indices(halves).tolist() == halves.tolist() and len(halves) == 4
    with pytest.raises(ValueError, match="expected integers"):
        Indices(Indices([1, 2]).numpy().view(np.float32))


# --- as an object


def test_equality() -> None:
    indices = Indices(IDS)
    assert indices == Indices(IDS.tolist()) and (indices != Indices(IDS)) is False
    assert indices != Indices(IDS[:4]) and indices != Indices(IDS + 1)
    assert Indices([]) == Indices(np.zeros(0))
    np.testing.assert_array_equal(indices == 4, IDS == 4)
    np.testing.assert_array_equal(indices != np.array([3, 0, 0, 0, 0]), [False, False, True, True, True])
    with pytest.raises(TypeError, match="unhashable"):
        hash(indices)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles(protocol: int) -> None:
    for indices in Indices(OFFSETS), Indices([]):
        again = pickle.loads(pickle.dumps(indices, protocol))
        assert again == indices and again.are_offsets == indices.are_offsets


def test_copies_share() -> None:
    indices = Indices(IDS)
    assert copy.copy(indices) is indices and copy.deepcopy([indices])[0] is indices


def test_repr() -> None:
    assert repr(Indices(OFFSETS)) == "Indices([0 2 2 5])"
    assert len(repr(Indices(np.arange(100_000)))) < 200


def test_memory_is_the_allocators(caching_allocator: None) -> None:
    before = _core.memory_stats()["bytes_in_use"]
    indices = Indices(np.zeros(1 << 20, np.int32))
    assert _core.memory_stats()["bytes_in_use"] >= before + (4 << 20)
    del indices
    assert _core.memory_stats()["bytes_in_use"] == before


# --- in ops

KEYS = np.array([0, 1, 4, 4], np.int32)
X, K, PAIRS = numbers(5, 4), numbers(4, 4, seed=1), numbers(2 * 1 + 0 * 3 + 3 * 0, seed=2)
OPS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "embedding": lambda ids, _, __: ops.embedding(ids, X, position_weight=X, position_ids=ids),
    "gather_rows": lambda ids, _, __: ops.gather_rows(X, ids),
    "write_rows": lambda ids, _, __: ops.write_rows(attnkit.tensor(np.zeros((5, 4), np.float32)), ids, X),
    "cross_entropy": lambda ids, _, __: ops.cross_entropy(numbers(5, 5), ids, 0.1),
    "linear_cross_entropy": lambda ids, _, __: ops.linear_cross_entropy(X, X, ids, label_smoothing=0.1),
    "packed_attention": lambda _, q, k: ops.packed_attention(X, K, K, q, k, heads=2),
    "packed self-attention": lambda _, q, __: ops.packed_attention(X, X, X, q, heads=2),
    "gru": lambda _, q, __: ops.gru(numbers(5, 6), q, numbers(6, 2))[0],
    "lstm": lambda _, q, __: ops.lstm(numbers(5, 8), q, numbers(8, 2))[0],
    "rnn": lambda _, q, __: ops.rnn(numbers(5, 2), q, numbers(2, 2))[0],
    "ragged_dots": lambda _, q, k: ops.ragged_dots(X, K, q, k),
    "ragged_additive": lambda _, q, k: ops.ragged_additive(X, K, X[0], q, k),
    "ragged_softmax": lambda _, q, k: ops.ragged_softmax(PAIRS, q, k),
    "ragged_softmax in a window": lambda i, q, k: ops.ragged_softmax(PAIRS, q, k, np.zeros(5, np.int32), i),
    "ragged_sums": lambda _, q, k: ops.ragged_sums(PAIRS, K, q, k),
    "ragged_key_sums": lambda _, q, k: ops.ragged_key_sums(PAIRS, q, k),
    "ragged_gaussian": lambda _, q, k: ops.ragged_gaussian(PAIRS, X[:, 0], 1.5, q, k),
    "ragged_chain_marginals": lambda _, q, k: ops.ragged_chain_marginals(PAIRS, X[:2, :2], q, k),
    "ragged_pick": lambda _, q, k: ops.ragged_pick(PAIRS, q, k),
    "add_scaled_sequences": lambda _, q, __: ops.add_scaled_sequences(X, X, q, [0.5, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("kind", [Indices, index_array, list, lambda x: x.astype(np.int64)])
def test_ops_take_it_wherever_they_take_arrays(name: str, kind: Callable[[np.ndarray], Any]) -> None:
    ids = np.random.default_rng(0).permutation(5).astype(np.int32)
    expected = OPS[name](ids, OFFSETS, KEYS)
    np.testing.assert_array_equal(OPS[name](kind(ids), kind(OFFSETS), kind(KEYS)), expected)


@pytest.mark.parametrize("kind", [Indices, np.asarray])
@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 2, 4], "from 0 to 5, got 0 to 4"),
        ([1, 2, 5], "from 0 to 5, got 1 to 5"),
        ([], "from 0 to 5, got none"),
        ([0, 4, 2, 5], "that never fall, got 4 before 2"),
        ([0, 7, -1, 5], "that never fall, got 7 before -1"),
    ],
)
def test_offsets_that_do_not_fit(kind: Callable[[Any], Any], offsets: list[int], message: str) -> None:
    given = kind(np.array(offsets, np.int32))
    factors = np.ones(max(0, len(offsets) - 1))
    for op, run in {
        "gru": lambda: ops.gru(numbers(5, 6), given, numbers(6, 2)),
        "add_scaled_sequences": lambda: ops.add_scaled_sequences(X, X, given, factors),
    }.items():
        if len(offsets) or op != "add_scaled_sequences":
            with pytest.raises(ValueError, match=re.escape(f"[{op}] expected offsets {message}")):
                run()
    with pytest.raises(ValueError, match=re.escape(f"[packed_attention] expected query_offsets {message}")):
        ops.packed_attention(X, X, X, given, heads=1)
    with pytest.raises(ValueError, match=re.escape(f"[ragged_dots] expected query_offsets {message}")):
        ops.ragged_dots(X, X, given, given)
    with pytest.raises(ValueError, match=re.escape(f"[decoder_state] expected offsets {message}")):
        _core.DecoderState([attnkit.tensor(X)], given)


@pytest.mark.parametrize("kind", [Indices, np.asarray])
@pytest.mark.parametrize("wrong", [-1, 5, 2**31 - 1, -(2**31)])
def test_ids_outside_their_table(kind: Callable[[Any], Any], wrong: int) -> None:
    ids, fine = kind(np.array([0, 4, wrong, 1, 2], np.int32)), kind(np.arange(5, dtype=np.int32))
    with pytest.raises(ValueError, match=re.escape(f"[embedding] expected ids in [0, 5), got {wrong} at index 2")):
        ops.embedding(ids, X)
    with pytest.raises(ValueError, match=re.escape(f"expected position ids in [0, 5), got {wrong} at index 2")):
        ops.embedding(fine, X, position_weight=X, position_ids=ids)
    message = f"[cross_entropy] expected labels in [0, 5) or -100, got {wrong} in row 2"
    for loss in lambda: ops.cross_entropy(numbers(5, 5), ids), lambda: ops.linear_cross_entropy(X, X, ids):
        with pytest.raises(ValueError, match=re.escape(message)):
            loss()
    with pytest.raises(ValueError, match=re.escape(f"[gather_rows] expected rows from 0 to 4, got {wrong}")):
        ops.gather_rows(X, ids)
    with pytest.raises(ValueError, match=re.escape(f"[write_rows] expected rows from 0 to 4, got {wrong}")):
        ops.write_rows(attnkit.tensor(X.copy()), ids, X)


@pytest.mark.parametrize("kind", [Indices, np.asarray])
def test_ignored_labels_do_not_count(kind: Callable[[Any], Any]) -> None:
    """Below, among and above the classes; those that are given are known to be none of them, or gone through."""
    for ignored in -100, 2, 100:
        labels = np.array([0, 1, 3, ignored, ignored], np.int32)
        loss, _, count = _core.linear_cross_entropy(
            attnkit.tensor(X), attnkit.tensor(X), None, kind(labels), 0.0, ignored
        )
        assert count == 3
        np.testing.assert_allclose(loss.item(), ops.cross_entropy(X @ X.T, labels[:3].tolist() + [-100] * 2), rtol=1e-6)
        assert _core.linear_cross_entropy(attnkit.tensor(X), attnkit.tensor(X), None, kind(IDS), 0.0, -100)[2] == 5


def test_the_core_takes_arrays_and_indices_alone() -> None:
    x = attnkit.tensor(X)
    expected = _core.gather_rows(x, IDS).numpy()
    for given in Indices(IDS), index_array(IDS), IDS.astype(np.int16), IDS.tolist():
        np.testing.assert_array_equal(_core.gather_rows(x, given), expected)  # type: ignore[arg-type]
    for given in IDS.astype(np.int64), IDS.astype(np.float32), None, "ids":
        with pytest.raises(TypeError):
            _core.gather_rows(x, given)  # type: ignore[arg-type]
