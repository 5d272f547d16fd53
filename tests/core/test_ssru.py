"""The SSRU: against float64 and finite differences, all at once and by steps, and what must not change it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference_recurrent
from closeness import assert_close, numeric_gradients

import attnkit
from attnkit import _core, ops

LENGTHS = [3, 1, 0, 12, 5, 0, 40]


def numbers(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(array: npt.NDArray[np.float32]) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def offsets_of(lengths: list[int]) -> npt.NDArray[np.int32]:
    return np.cumsum([0, *lengths]).astype(np.int32)


def arrays_for(lengths: list[int], hidden: int) -> list[npt.NDArray[np.float32]]:
    """projected, bias, state."""
    return [numbers(sum(lengths), 2 * hidden), numbers(hidden, seed=1), numbers(len(lengths), hidden, seed=2)]


def by_formula(offsets: Any, projected: Any, bias: Any, state: Any) -> tuple[Any, Any]:
    exact, *rest = (np.asarray(x, np.float64) for x in (projected, bias, state))
    return reference_recurrent.ssru(exact, offsets, *rest)


def bits_of_everything(lengths: list[int], hidden: int) -> list[npt.NDArray[np.float32]]:
    """Output, last cells and the three gradients."""
    leaves = [leaf(x) for x in arrays_for(lengths, hidden)]
    results = ops.ssru(leaves[0], offsets_of(lengths), *leaves[1:])
    sum((x * numbers(*x.shape, seed=5 + i)).sum() for i, x in enumerate(results)).backward()
    return [x.numpy() for x in results] + [x.grad.numpy() for x in leaves]


# --- against the formula


# Less than a vector, vectors and a part of one, more than the numbers of one task.
@pytest.mark.parametrize("hidden", [1, 3, 19, 48, 133])
def test_the_formula(hidden: int, isa: str, threads: int) -> None:
    offsets, inputs = offsets_of(LENGTHS), arrays_for(LENGTHS, hidden)
    output, last = ops.ssru(inputs[0], offsets, *inputs[1:])
    assert isinstance(output, np.ndarray) and isinstance(last, np.ndarray)
    for got, expected in zip((output, last), by_formula(offsets, *inputs), strict=True):
        assert_close(got, expected, terms=4)
    np.testing.assert_array_equal(last[2], inputs[2][2])  # a sentence without words hands its state on


def test_the_state_is_zero_where_it_is_not_given() -> None:
    offsets, (projected, bias, state) = offsets_of(LENGTHS), arrays_for(LENGTHS, 5)
    without, zeros = ops.ssru(projected, offsets, bias), ops.ssru(projected, offsets, bias, np.zeros_like(state))
    np.testing.assert_array_equal(without[0], zeros[0])
    np.testing.assert_array_equal(without[1], zeros[1])
    assert not np.array_equal(without[0], ops.ssru(projected, offsets, bias, state)[0])


def test_gates_far_from_zero() -> None:
    """An open gate keeps the cell, a closed one takes the candidate; none gives NaN."""
    gates = np.array([100.0, -100.0, 1e30, -1e30, 3e38, -3e38], np.float32)
    projected = np.concatenate([gates, np.full(6, 2.0, np.float32)])[None]
    output, last = ops.ssru(projected, [0, 1], np.zeros(6, np.float32), np.full((1, 6), 5.0, np.float32))
    np.testing.assert_array_equal(last[0], [5, 2, 5, 2, 5, 2])
    np.testing.assert_array_equal(output, last)


def test_a_long_sentence_in_two_parts_is_the_whole() -> None:
    projected, bias, state = arrays_for([2000], 7)
    whole, last = ops.ssru(projected, [0, 2000], bias, state)
    first, between = ops.ssru(projected[:1234], [0, 1234], bias, state)
    second, end = ops.ssru(projected[1234:], [0, 766], bias, between)
    np.testing.assert_array_equal(np.concatenate([first, second]), whole)
    np.testing.assert_array_equal(end, last)


@pytest.mark.parametrize("lengths", [[], [0], [0, 0, 0]], ids=str)
def test_no_word_at_all(lengths: list[int]) -> None:
    inputs = [leaf(x) for x in arrays_for(lengths, 5)]
    output, last = ops.ssru(inputs[0], offsets_of(lengths), *inputs[1:])
    assert output.shape == (0, 5)
    np.testing.assert_array_equal(last.numpy(), inputs[2].numpy())
    (output.sum() + last.sum()).backward()
    np.testing.assert_array_equal(inputs[2].grad.numpy(), np.ones((len(lengths), 5)))
    assert not inputs[1].grad.numpy().any()


# --- gradients


@pytest.mark.parametrize("given", [True, False], ids=["state", "no state"])
def test_gradients(given: bool, isa: str) -> None:
    lengths, hidden = [2, 0, 4, 1], 3
    offsets, inputs = offsets_of(lengths), arrays_for(lengths, hidden)
    leaves = [leaf(x) for x in inputs]
    results = ops.ssru(leaves[0], offsets, leaves[1], leaves[2] if given else None)
    upstream = [numbers(*x.shape, seed=5 + i) for i, x in enumerate(results)]
    sum((x * g).sum() for x, g in zip(results, upstream, strict=True)).backward()

    def formula(*arrays: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        state = arrays[2] if given else np.zeros_like(arrays[2])
        return np.concatenate([x.ravel() for x in by_formula(offsets, *arrays[:2], state)])

    exact = numeric_gradients(formula, inputs, np.concatenate([g.ravel() for g in upstream]))
    for got, expected in zip(leaves, exact, strict=True):
        if got is leaves[2] and not given:
            assert got.grad is None
        else:
            assert_close(got.grad, expected, terms=16, scale=1.0)


@pytest.mark.parametrize("hidden", [19, 133])
def test_gradients_of_wide_states_against_pytorch(hidden: int, isa: str) -> None:
    torch = pytest.importorskip("torch")
    offsets, inputs = offsets_of(LENGTHS), arrays_for(LENGTHS, hidden)
    projected, bias, state = (torch.tensor(x.astype(np.float64), requires_grad=True) for x in inputs)
    forget, candidates = torch.sigmoid(projected[:, :hidden] + bias), projected[:, hidden:]
    outputs, last = [], []
    for b, (begin, end) in enumerate(pairwise(offsets)):
        cell = state[b]
        for t in range(begin, end):
            cell = forget[t] * cell + (1 - forget[t]) * candidates[t]
            outputs.append(torch.relu(cell))
        last.append(cell)
    wanted = [torch.stack(outputs), torch.stack(last)]
    sum((x * torch.tensor(numbers(*x.shape, seed=5 + i))).sum() for i, x in enumerate(wanted)).backward()
    expected = [*(x.detach() for x in wanted), *(x.grad for x in (projected, bias, state))]
    for got, want in zip(bits_of_everything(LENGTHS, hidden), expected, strict=True):
        assert_close(got, want, terms=sum(LENGTHS))


def test_only_what_needs_a_gradient_gets_one() -> None:
    for wanted in range(3):
        tensors = [attnkit.tensor(x, requires_grad=i == wanted) for i, x in enumerate(arrays_for([3, 2], 4))]
        output, _ = ops.ssru(tensors[0], offsets_of([3, 2]), *tensors[1:])
        output.sum().backward()
        assert [x.grad is not None for x in tensors] == [i == wanted for i in range(3)]


def test_a_gradient_of_the_last_cells_alone_is_enough() -> None:
    offsets, inputs = offsets_of([3, 0, 2]), [leaf(x) for x in arrays_for([3, 0, 2], 4)]
    _, last = ops.ssru(inputs[0], offsets, *inputs[1:])
    last.sum().backward()
    np.testing.assert_array_equal(inputs[2].grad.numpy()[1], np.ones(4))
    assert inputs[0].grad.numpy().all()


# --- what must not change a bit


def test_a_sentence_does_not_depend_on_its_batch(isa: str) -> None:
    lengths = [int(x) for x in np.random.default_rng(0).integers(0, 12, 45)]
    offsets, (projected, bias, state) = offsets_of(lengths), arrays_for(lengths, 37)
    together = ops.ssru(projected, offsets, bias, state)
    for b, (begin, end) in enumerate(pairwise(offsets)):
        output, last = ops.ssru(projected[begin:end], [0, end - begin], bias, state[b : b + 1])
        np.testing.assert_array_equal(output, together[0][begin:end])
        np.testing.assert_array_equal(last[0], together[1][b])


def test_threads_change_nothing() -> None:
    lengths = [int(x) for x in np.random.default_rng(0).integers(1, 90, 40)]
    found = []
    for threads in (1, 2, 5):
        attnkit.set_num_threads(threads)
        found.append(bits_of_everything(lengths, 200))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_recording_changes_nothing() -> None:
    offsets, inputs = offsets_of(LENGTHS), arrays_for(LENGTHS, 21)
    recorded = ops.ssru(leaf(inputs[0]), offsets, *map(leaf, inputs[1:]))
    for a, b in zip(recorded, ops.ssru(inputs[0], offsets, *inputs[1:]), strict=True):
        np.testing.assert_array_equal(a.numpy(), b)


# --- a step at a time


def state_of(sources: int, hidden: int, layers: int = 1) -> _core.DecoderState:
    """Of sources with a word each, which an SSRU does not look at."""
    memory = attnkit.tensor(np.zeros((sources, 4), np.float32))
    return _core.DecoderState([memory] * layers, np.arange(sources + 1, dtype=np.int32), hidden)


@pytest.mark.parametrize("hidden", [1, 19, 133])
def test_steps_are_the_sentence(hidden: int, isa: str, threads: int) -> None:
    """To the bit, through many more steps than a first cache holds; each of two layers has its own cells."""
    rows, length = 3, 40
    projected, bias, _ = arrays_for([length] * rows, hidden)
    whole, _ = ops.ssru(projected, offsets_of([length] * rows), bias)
    other, _ = ops.ssru(-projected, offsets_of([length] * rows), bias)
    state = state_of(rows, hidden, layers=2)
    for t in range(length):
        at = np.arange(rows) * length + t
        state.advance()
        for layer, (sign, expected) in enumerate(((1, whole), (-1, other))):
            step = ops.cached_ssru(attnkit.tensor(sign * projected[at]), attnkit.tensor(bias), state, layer)
            np.testing.assert_array_equal(step.numpy(), expected[at])
        assert state.position == t + 1


def test_selected_rows_take_their_cells_along() -> None:
    """Rows repeat, change places, go, and all go."""
    bias = numbers(5, seed=1)
    state, histories = state_of(3, 5, layers=2), [[], [], []]  # type: list[list[Any]]
    for step, rows in enumerate(([0, 0, 1, 2, 2], [1, 0, 2, 4], [3, 1], [1], [])):
        projected = numbers(state.rows, 10, seed=20 + step)
        state.advance()
        histories = [[*history, row] for history, row in zip(histories, projected, strict=True)]
        for layer in range(2):
            got = ops.cached_ssru(attnkit.tensor(projected), attnkit.tensor(bias), state, layer).numpy()
            for history, found in zip(histories, got, strict=True):
                whole, _ = ops.ssru(np.stack(history), [0, len(history)], bias)
                np.testing.assert_array_equal(found, whole[-1])
        state.select(np.array(rows, np.int32))
        histories = [histories[row] for row in rows]
    assert state.rows == 0


# --- errors


BAD: list[tuple[dict[str, Any], str]] = [
    ({"projected": numbers(5, 7)}, "[ssru] expected projected of shape [T, 8], got [5, 7]"),
    ({"projected": numbers(8)}, "[ssru] expected projected of shape [T, 8], got [8]"),
    ({"bias": numbers(4, 1)}, "[ssru] expected bias of shape [H], got [4, 1]"),
    ({"bias": numbers(0)}, "[ssru] expected bias of shape [H], got [0]"),
    ({"state": numbers(1, 4)}, "[ssru] expected state of shape [2, 4], got [1, 4]"),
    ({"offsets": [0, 2, 4]}, "[ssru] expected offsets from 0 to 5, got 0 to 4"),
    ({"offsets": [0, 6, 5]}, "[ssru] expected offsets that never fall, got 6 before 5"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=lambda x: str(x)[:24])
def test_inputs_that_do_not_fit_are_named(change: dict[str, Any], message: str) -> None:
    fitting: dict[str, Any] = {"projected": numbers(5, 8), "offsets": [0, 2, 5], "bias": numbers(4)}
    ops.ssru(**fitting)
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.ssru(**{**fitting, **change})


def test_steps_that_do_not_fit_are_named() -> None:
    projected, bias, state = attnkit.tensor(numbers(2, 8)), attnkit.tensor(numbers(4)), state_of(2, 4)
    without = _core.DecoderState([attnkit.tensor(numbers(2, 4))], np.array([0, 1, 2], np.int32))
    calls: list[tuple[Callable[[], Any], str]] = [
        (
            lambda: ops.cached_ssru(projected, bias, without, 0),
            "[cached_ssru] expected a state with cells, got one without",
        ),
        (
            lambda: ops.cached_ssru(attnkit.tensor(numbers(3, 8)), bias, state, 0),
            "[cached_ssru] expected projected of shape [2, 8], got [3, 8]",
        ),
        (
            lambda: ops.cached_ssru(projected, attnkit.tensor(numbers(5)), state, 0),
            "[cached_ssru] expected bias of shape [4], got [5]",
        ),
        (lambda: ops.cached_ssru(projected, bias, state, 1), "[cached_ssru] expected a layer below 1, got 1"),
        (lambda: ops.cached_ssru(projected, bias, state, -1), "[cached_ssru] expected a layer below 1, got -1"),
        (lambda: state.select(np.array([2], np.int32)), "[decoder_state] expected rows below 2, got 2"),
        (lambda: state_of(2, -1), "[decoder_state] expected cells of a width of at least 0, got -1"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
