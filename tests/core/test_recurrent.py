"""Recurrent units and layers: against float64, finite differences and PyTorch, and what must not change a result."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference_recurrent
from closeness import BFLOAT16, assert_close, numeric_gradients

import attnkit
from attnkit import _core, nn, ops

UNITS = ["tanh", "relu", "gru", "lstm"]
DIRECTIONS = ["forward", "backward", "both"]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(array: np.ndarray) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def offsets_of(lengths: list[int]) -> np.ndarray:
    return np.cumsum([0, *lengths]).astype(np.int32)


def arrays_for(unit: str, lengths: list[int], hidden: int, direction: str) -> list[np.ndarray]:
    """projected, weight, bias, state, cell."""
    directions = 2 if direction == "both" else 1
    rows = directions * reference_recurrent.GATES[unit] * hidden
    states = (directions, len(lengths), hidden)
    weight = numbers(rows, hidden, seed=1) / np.float32(np.sqrt(hidden))
    return [
        numbers(sum(lengths), rows),
        weight,
        numbers(rows, seed=2),
        numbers(*states, seed=3),
        numbers(*states, seed=4),
    ]


def run(unit: str, offsets: np.ndarray, direction: str, inputs: list[Any]) -> tuple[Any, ...]:
    """Output and last states, by the public op."""
    projected, weight, bias, state, cell = inputs
    if unit == "lstm":
        output, last = ops.lstm(projected, offsets, weight, bias, (state, cell), direction)
        return output, *last
    if unit == "gru":
        return ops.gru(projected, offsets, weight, bias, state, direction)
    return ops.rnn(projected, offsets, weight, bias, state, unit, direction)


def run_cell(unit: str, inputs: list[Any]) -> tuple[Any, ...]:
    projected, weight, bias, state, cell = inputs
    if unit == "lstm":
        return ops.lstm_cell(projected, (state, cell), weight, bias)
    if unit == "gru":
        return (ops.gru_cell(projected, state, weight, bias),)
    return (ops.rnn_cell(projected, state, weight, bias, unit),)


# --- the ops against the formula


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("hidden", [1, 19, 48])
def test_the_units(unit: str, direction: str, hidden: int, isa: str) -> None:
    lengths = [3, 1, 0, 12, 5, 5, 2, 1, 9, 4, 4]
    offsets, inputs = offsets_of(lengths), arrays_for(unit, lengths, hidden, direction)
    results = run(unit, offsets, direction, inputs)
    assert all(isinstance(x, np.ndarray) for x in results)
    exact = reference_recurrent.recurrent(
        unit, inputs[0].astype(np.float64), offsets, *(x.astype(np.float64) for x in inputs[1:]), direction
    )
    for got, expected in zip(results, exact, strict=False):
        assert_close(got, expected, terms=12 * hidden)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("direction", ["forward", "both"])
@pytest.mark.parametrize("unit", UNITS)
def test_the_gradients_of_the_units(unit: str, direction: str, given: bool) -> None:
    lengths, hidden = [2, 0, 4, 1], 3
    offsets, inputs = offsets_of(lengths), arrays_for(unit, lengths, hidden, direction)
    leaves = [leaf(x) for x in inputs]
    if not given:
        leaves[2:] = [None, None, None]
        inputs[2:] = [np.zeros_like(x) for x in inputs[2:]]
    if unit == "lstm" and not given:
        output, last = ops.lstm(leaves[0], offsets, leaves[1], direction=direction)
        results = (output, *last)
    else:
        results = run(unit, offsets, direction, leaves)
    upstream = [numbers(*x.shape, seed=5 + i) for i, x in enumerate(results)]
    total = sum((x * g).sum() for x, g in zip(results, upstream, strict=True))
    total.backward()

    def formula(*arrays: np.ndarray) -> np.ndarray:
        projected, *rest = arrays
        found = reference_recurrent.recurrent(unit, projected, offsets, *rest, direction)
        return np.concatenate([x.ravel() for x in found[: len(results)]])

    weights = np.concatenate([g.ravel() for g in upstream])
    exact = numeric_gradients(formula, inputs, weights)
    for got, expected in zip(leaves, exact, strict=True):
        if got is not None and got.grad is not None:
            assert_close(got.grad, expected, terms=40, scale=2.0)
    assert [x is not None and x.grad is not None for x in leaves] == [
        True,
        True,
        given,
        given,
        given and unit == "lstm",
    ]


@pytest.mark.parametrize("unit", UNITS)
def test_the_cells(unit: str, isa: str) -> None:
    rows, hidden = 7, 21
    inputs = arrays_for(unit, [1] * rows, hidden, "forward")
    inputs[3:] = [x[0] for x in inputs[3:]]
    results = run_cell(unit, inputs)
    exact = reference_recurrent.recurrent(
        unit, inputs[0].astype(np.float64), np.arange(rows + 1), *(x.astype(np.float64) for x in inputs[1:3]),
        *(x[None].astype(np.float64) for x in inputs[3:]),
    )  # fmt: skip
    for got, expected in zip(results, exact[1:], strict=False):
        assert_close(got, expected[0], terms=hidden)


@pytest.mark.parametrize("unit", UNITS)
def test_steps_of_a_cell_are_the_sequence_with_its_gradients(unit: str) -> None:
    rows, length, hidden = 3, 4, 6
    inputs = arrays_for(unit, [length] * rows, hidden, "forward")
    whole, steps = [leaf(x) for x in inputs], [leaf(x) for x in inputs]
    results = run(unit, offsets_of([length] * rows), "forward", whole)
    upstream = numbers(rows * length, hidden, seed=9)
    (results[0] * upstream).sum().backward()

    state, cell = steps[3][0], steps[4][0]
    total: Any = 0.0
    for t in range(length):
        at = np.arange(rows, dtype=np.int32) * length + t
        new = run_cell(unit, [ops.gather_rows(steps[0], at), steps[1], steps[2], state, cell])
        state, cell = new[0], new[-1]
        total = total + (state * upstream[at]).sum()
        np.testing.assert_array_equal(state.numpy(), results[0].numpy()[at])
    total.backward()
    for a, b in zip(steps, whole, strict=True):
        if b.grad is not None:
            assert_close(a.grad, b.grad, terms=length * rows, scale=1.0)


def test_only_what_needs_a_gradient_gets_one() -> None:
    lengths = [3, 2]
    for wanted in range(5):
        inputs = arrays_for("lstm", lengths, 4, "forward")
        tensors = [attnkit.tensor(x, requires_grad=i == wanted) for i, x in enumerate(inputs)]
        output, _ = ops.lstm(tensors[0], offsets_of(lengths), tensors[1], tensors[2], (tensors[3], tensors[4]))
        output.sum().backward()
        assert [x.grad is not None for x in tensors] == [i == wanted for i in range(5)]


def test_a_gradient_of_the_last_state_alone_is_enough() -> None:
    lengths = [3, 0, 2]
    inputs = [leaf(x) for x in arrays_for("gru", lengths, 4, "both")]
    _, last = run("gru", offsets_of(lengths), "both", inputs)
    last.sum().backward()
    np.testing.assert_array_equal(inputs[3].grad.numpy()[:, 1], np.ones((2, 4)))  # the empty sentence hands it on
    assert inputs[0].grad.numpy().any()


# --- what must not change a result


@pytest.mark.parametrize("unit", UNITS)
def test_a_sentence_does_not_depend_on_its_batch(unit: str, isa: str) -> None:
    lengths = [int(x) for x in np.random.default_rng(0).integers(1, 12, 45)]
    offsets, inputs = offsets_of(lengths), arrays_for(unit, lengths, 37, "both")
    together = run(unit, offsets, "both", inputs)
    for b, (begin, end) in enumerate(pairwise(offsets)):
        if b % 9 == 0:
            alone = [inputs[0][begin:end], *inputs[1:3], *(x[:, b : b + 1] for x in inputs[3:])]
            results = run(unit, offsets_of([end - begin]), "both", alone)
            np.testing.assert_array_equal(results[0], together[0][begin:end])
            for got, expected in zip(results[1:], together[1:], strict=True):
                np.testing.assert_array_equal(got[:, 0], expected[:, b])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("unit", UNITS)
def test_threads_change_nothing(unit: str, precision: str) -> None:
    lengths = [int(x) for x in np.random.default_rng(0).integers(1, 20, 70)]
    offsets, inputs = offsets_of(lengths), arrays_for(unit, lengths, 40, "both")

    def everything() -> list[np.ndarray]:
        leaves = [leaf(x) for x in inputs]
        with attnkit.precision(precision):
            results = run(unit, offsets, "both", leaves)
            sum((x * numbers(*x.shape, seed=i)).sum() for i, x in enumerate(results)).backward()
        return [x.numpy() for x in results] + [x.grad.numpy() for x in leaves if x.grad is not None]

    before = attnkit.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            attnkit.set_num_threads(threads)
            found.append(everything())
    finally:
        attnkit.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("unit", UNITS)
def test_bf16_is_near_and_not_the_same(unit: str) -> None:
    lengths = [9, 4, 6]
    offsets, inputs = offsets_of(lengths), arrays_for(unit, lengths, 64, "forward")

    def both(precision: str) -> tuple[np.ndarray, np.ndarray]:
        leaves = [leaf(x) for x in inputs]
        with attnkit.precision(precision):
            output = run(unit, offsets, "forward", leaves)[0]
        output.sum().backward()
        return output.numpy(), leaves[1].grad.numpy()

    for rounded, full in zip(both("bf16"), both("fp32"), strict=True):
        assert np.abs(rounded - full).max() > 1e-4
        assert_close(rounded, full, terms=64, epsilon=BFLOAT16 / 4)


def test_the_reset_gate_acts_on_the_product() -> None:
    """PyTorch's GRU, not the first version of the paper: n = tanh(x + r · (W h + b))."""
    projected, weight, bias = (
        np.zeros((1, 3), np.float32),
        np.zeros((3, 1), np.float32),
        np.array([0, 0, 1], np.float32),
    )
    output, _ = ops.gru(projected, [0, 1], weight, bias)
    assert_close(output, [[0.5 * np.tanh(0.5 * 1.0)]])


# --- extremes and errors


@pytest.mark.parametrize("unit", UNITS)
def test_no_sentence_no_token_one_token_and_two_thousand(unit: str) -> None:
    for lengths in ([], [0], [0, 0, 0], [1], [2000, 1]):
        offsets, inputs = offsets_of(lengths), [leaf(x) for x in arrays_for(unit, lengths, 5, "both")]
        results = run(unit, offsets, "both", inputs)
        assert results[0].shape == (sum(lengths), 10)
        assert all(x.shape == (2, len(lengths), 5) for x in results[1:])
        sum(x.sum() for x in results).backward()
        assert all(np.isfinite(x.grad.numpy()).all() for x in inputs if x.grad is not None)
        if sum(lengths) == 0:
            np.testing.assert_array_equal(results[1].numpy(), inputs[3].numpy())
            assert not inputs[1].grad.numpy().any()
    empty = [x[:0] if x.ndim == 2 else x for x in arrays_for(unit, [1], 5, "forward")]
    empty[1], empty[3], empty[4] = (
        numbers(*arrays_for(unit, [1], 5, "forward")[1].shape),
        empty[3][0, :0],
        empty[4][0, :0],
    )
    assert run_cell(unit, empty)[0].shape == (0, 5)


def test_a_chain_of_many_steps_is_freed_without_recursion() -> None:
    weight, state = leaf(numbers(3, 1)), leaf(numbers(1, 1))
    projected = attnkit.tensor(numbers(1, 3))
    h: Any = state
    for _ in range(30_000):
        h = ops.gru_cell(projected, h, weight)
    del h
    h = state
    for _ in range(3_000):
        h = ops.gru_cell(projected, h, weight)
    h.sum().backward()
    assert state.grad is not None


BAD = [
    ({"projected": numbers(5, 11)}, "[gru] expected projected of shape [T, 12], got [5, 11]"),
    ({"weight": numbers(12, 5)}, "[gru] expected weight of shape [3·H, H], got [12, 5]"),
    ({"bias": numbers(4)}, "[gru] expected bias of shape [12], got [4]"),
    ({"state": numbers(2, 4)}, "[gru] expected state of shape [1, 2, 4], got [2, 4]"),
    ({"offsets": [0, 2, 4]}, "[gru] expected offsets from 0 to 5, got 0 to 4"),
    ({"offsets": [0, 6, 5]}, "[gru] expected offsets that never fall, got 6 before 5"),
    ({"direction": "left"}, '[recurrent] expected the direction "forward", "backward" or "both", got "left"'),
    ({"direction": "both"}, "[gru] expected weight of shape [6·H, H], got [12, 4]"),
]


@pytest.mark.parametrize(("change", "message"), BAD, ids=lambda x: str(x)[:24])
def test_inputs_that_do_not_fit_are_named(change: dict[str, Any], message: str) -> None:
    fitting = {"projected": numbers(5, 12), "offsets": [0, 2, 5], "weight": numbers(12, 4)}
    ops.gru(**fitting)
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.gru(**{**fitting, **change})


@pytest.mark.parametrize(("unit", "width"), [("gru", 12), ("tanh", 4)])
def test_a_cell_is_for_an_lstm_alone(unit: str, width: int) -> None:
    projected, weight, state = (attnkit.tensor(numbers(*s)) for s in ((1, width), (width, 4), (1, 4)))
    with pytest.raises(ValueError, match="expected a cell for an LSTM alone"):
        _core.recurrent_step(unit, projected, weight, None, state, state)
    cell = attnkit.tensor(numbers(1, 1, 4))
    with pytest.raises(ValueError, match="expected a cell for an LSTM alone"):
        _core.recurrent(unit, projected, np.array([0, 1], np.int32), weight, None, None, cell, "forward")


def test_cells_and_layers_name_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=re.escape("[lstm_cell] expected cell of shape [2, 3], got [3, 2]")):
        ops.lstm_cell(numbers(2, 12), (numbers(2, 3), numbers(3, 2)), numbers(12, 3))
    with pytest.raises(ValueError, match=re.escape('[rnn] expected the nonlinearity "tanh" or "relu", got "gelu"')):
        nn.RNN(3, 4, nonlinearity="gelu")
    with pytest.raises(ValueError, match=re.escape("[lstm] expected num_layers of at least 1, got 0")):
        nn.LSTM(3, 4, num_layers=0)
    with pytest.raises(ValueError, match=re.escape("[gru] expected dropout in [0, 1), got 1.0")):
        nn.GRU(3, 4, dropout=1.0)
    with pytest.raises(ValueError, match=re.escape("[recurrent] expected sizes of at least 1, got 3 and 0")):
        nn.GRUCell(3, 0)
    layer = nn.GRU(3, 4, num_layers=2)
    x, state = attnkit.tensor(numbers(5, 3)), attnkit.tensor(numbers(1, 2, 4))
    with pytest.raises(ValueError, match=re.escape("[gru] expected state of shape [2, 2, 4], got [1, 2, 4]")):
        layer(x, offsets_of([2, 3]), state)


# --- the layers


def test_layers_against_pytorch_twins() -> None:
    """Stacked, bidirectional, with and without biases and states: outputs, states, and every gradient."""
    torch = pytest.importorskip("torch")
    lengths = [3, 7, 1, 4, 11]
    offsets = offsets_of(lengths)
    options = [(1, False, True), (2, True, True), (2, False, False), (1, True, False)]
    for kind in ("RNN", "GRU", "LSTM"):
        for layers, bidirectional, bias in options:
            ours = getattr(nn, kind)(5, 19, layers, bias=bias, bidirectional=bidirectional)
            theirs = getattr(torch.nn, kind)(5, 19, layers, bias=bias, bidirectional=bidirectional)
            copy_layers(ours, theirs)
            compare_with_pytorch(torch, kind, ours, theirs, lengths, offsets)


NAMES = {"input_weight": "weight_ih", "hidden_weight": "weight_hh", "input_bias": "bias_ih", "hidden_bias": "bias_hh"}


def their_tensors(theirs: Any, layer: int, name: str, directions: int) -> list[Any]:
    suffixes = ["", "_reverse"][:directions]
    return [getattr(theirs, f"{NAMES[name]}_l{layer}{suffix}") for suffix in suffixes]


def copy_layers(ours: Any, theirs: Any) -> None:
    for layer, weights in enumerate(ours.layers):
        for name, parameter in weights.named_parameters():
            tensors = their_tensors(theirs, layer, name, ours.directions)
            parameter.copy_(np.concatenate([x.detach().numpy() for x in tensors]))


def compare_with_pytorch(torch: Any, kind: str, ours: Any, theirs: Any, lengths: list[int], offsets: Any) -> None:
    shape = (len(ours.layers) * ours.directions, len(lengths), ours.hidden_size)
    arrays = [numbers(sum(lengths), 5), numbers(*shape, seed=1), numbers(*shape, seed=2)]
    x, h, c = (leaf(a) for a in arrays)
    y, g, d = (torch.tensor(a, requires_grad=True) for a in arrays)
    output, state = ours(x, offsets, (h, c) if kind == "LSTM" else h)
    packed = torch.nn.utils.rnn.pack_sequence([y[a:b] for a, b in pairwise(offsets)], enforce_sorted=False)
    expected, expected_state = theirs(packed, (g, d) if kind == "LSTM" else g)
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(expected)
    rows = torch.cat([padded[:length, b] for b, length in enumerate(lengths)])
    got = [output, *(state if kind == "LSTM" else [state])]
    want = [rows, *(expected_state if kind == "LSTM" else [expected_state])]
    for a, b in zip(got, want, strict=True):
        assert_close(a, b.detach(), terms=64)

    upstream = [numbers(*x.shape, seed=3 + i) for i, x in enumerate(got)]
    sum((a * u).sum() for a, u in zip(got, upstream, strict=True)).backward()
    sum((b * torch.tensor(u)).sum() for b, u in zip(want, upstream, strict=True)).backward()
    for a, b in [(x, y), (h, g)] + ([(c, d)] if kind == "LSTM" else []):
        assert_close(a.grad, b.grad, terms=64, scale=1.0)
    for layer, weights in enumerate(ours.layers):
        for name, parameter in weights.named_parameters():
            gradient = torch.cat([t.grad for t in their_tensors(theirs, layer, name, ours.directions)])
            assert_close(parameter.grad, gradient, terms=64, scale=1.0)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_cells_against_pytorch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn, kind + "Cell")(5, 9), getattr(torch.nn, kind + "Cell")(5, 9)
    for name, parameter in ours.weights.named_parameters():
        parameter.copy_(getattr(theirs, NAMES[name]).detach().numpy())
    x, h, c = numbers(4, 5), numbers(4, 9, seed=1), numbers(4, 9, seed=2)
    state = (attnkit.tensor(h), attnkit.tensor(c)) if kind == "LSTM" else attnkit.tensor(h)
    got = ours(attnkit.tensor(x), state)
    want = theirs(torch.tensor(x), (torch.tensor(h), torch.tensor(c)) if kind == "LSTM" else torch.tensor(h))
    for a, b in zip(got, want, strict=True) if kind == "LSTM" else [(got, want)]:
        assert_close(a, b.detach(), terms=16)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_layer_in_two_halves_is_the_whole(kind: str) -> None:
    """The state that comes out goes in again, also of stacked layers."""
    layer = getattr(nn, kind)(3, 8, num_layers=2)
    x = numbers(10, 3)
    whole, last = layer(attnkit.tensor(x), np.array([0, 10], np.int32))
    first, state = layer(attnkit.tensor(x[:6]), np.array([0, 6], np.int32))
    second, end = layer(attnkit.tensor(x[6:]), np.array([0, 4], np.int32), state)
    np.testing.assert_array_equal(np.concatenate([first.numpy(), second.numpy()]), whole.numpy())
    for a, b in zip(end, last, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_cell_takes_the_weights_of_a_layer(kind: str) -> None:
    layer, cell = getattr(nn, kind)(3, 8), getattr(nn, kind + "Cell")(3, 8)
    cell.weights = layer.layers[0]
    x = attnkit.tensor(numbers(1, 3))
    output, _ = layer(x, np.array([0, 1], np.int32))
    zeros = attnkit.tensor(np.zeros((1, 8), np.float32))
    state = cell(x, (zeros, zeros) if kind == "LSTM" else zeros)
    np.testing.assert_array_equal((state[0] if kind == "LSTM" else state).numpy(), output.numpy())
    both = nn.ModuleList([layer, cell])
    assert len(list(both.parameters())) == 4


def test_dropout_acts_between_layers_in_training_only() -> None:
    x, offsets = attnkit.tensor(numbers(12, 3)), offsets_of([5, 7])
    single, stacked = nn.GRU(3, 16, dropout=0.5), nn.GRU(3, 16, num_layers=2, dropout=0.5)
    np.testing.assert_array_equal(single(x, offsets)[0].numpy(), single(x, offsets)[0].numpy())
    assert not np.array_equal(stacked(x, offsets)[0].numpy(), stacked(x, offsets)[0].numpy())
    stacked.eval()
    np.testing.assert_array_equal(stacked(x, offsets)[0].numpy(), stacked(x, offsets)[0].numpy())


def test_options_change_the_result_and_show_in_repr() -> None:
    x, offsets = attnkit.tensor(numbers(5, 3)), offsets_of([5])
    layer = nn.RNN(3, 4)
    relu = nn.RNN(3, 4, nonlinearity="relu")
    relu.load_state_dict(layer.state_dict())
    assert not np.array_equal(layer(x, offsets)[0].numpy(), relu(x, offsets)[0].numpy())
    assert relu(x, offsets)[0].numpy().min() == 0.0
    assert nn.LSTM(3, 4, bidirectional=True)(x, offsets)[0].shape == (5, 8)
    assert [name for name, _ in nn.GRU(3, 4, bias=False).named_parameters()] == [
        "layers.0.input_weight",
        "layers.0.hidden_weight",
    ]
    assert repr(nn.GRU(3, 4)).split("\n")[:3] == [
        "GRU(hidden_size=4, dropout=0.0, bidirectional=False",
        "  (layers): ModuleList(",
        "    (0): RecurrentWeights([12, 3], [12, 4], bias=True)",
    ]


def test_first_values_are_uniform_within_the_bound() -> None:
    weights = nn.LSTM(100, 64).layers[0]
    for _, parameter in weights.named_parameters():
        values = parameter.numpy(writable=False)
        assert np.abs(values).max() <= 0.125
        assert abs(values.std() - 0.125 / np.sqrt(3)) < 0.1 * 0.125
    assert np.abs(weights.hidden_bias.numpy(writable=False)).min() < 0.01
