"""The gates of recurrent layers and cells: against float64, and nothing else changes for being asked for them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference_recurrent
from closeness import assert_close, numeric_gradients
from pytorch_twin import randomise
from reference import sigmoid
from reference_family import weights_of

import attnkit
from attnkit import nn, tensor

OFFSETS = np.array([0, 3, 3, 8, 9], np.int32)  # sentences of different lengths, one of none
TOKENS, SENTENCES, INPUT, HIDDEN = 9, 4, 3, 4
UNITS: dict[str, Any] = {"lstm": nn.LSTM, "gru": nn.GRU}
CELLS: dict[str, Any] = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def made(unit: str, layers: int = 1, both: bool = False, **options: Any) -> Any:
    layer = UNITS[unit](INPUT, HIDDEN, layers, bidirectional=both, **options)
    randomise(layer, deviation=0.7)
    return layer


def first_state(unit: str, rows: int) -> tuple[Any, list[np.ndarray]]:
    """A state of so many layers and directions, as the layer takes it and as h and c."""
    parts = [numbers(rows, SENTENCES, HIDDEN, seed=seed) for seed in (5, 6)]
    given = [tensor(part) for part in parts]
    return (tuple(given) if unit == "lstm" else given[0]), parts


def expected(unit: str, layer: Any, x: np.ndarray, state: list[np.ndarray] | None) -> list[dict[str, np.ndarray]]:
    """The gates of each layer, in float64."""
    p, found = weights_of(layer), []
    for index in range(len(layer.layers)):
        names = ("input_weight", "hidden_weight", "input_bias", "hidden_bias")
        weight, hidden, bias, hidden_bias = (p[f"layers.{index}.{name}"] for name in names)
        rows = slice(index * layer.directions, (index + 1) * layer.directions)
        zeros = np.zeros((layer.directions, SENTENCES, HIDDEN))
        h, c = (zeros, zeros) if state is None else (part[rows].astype(np.float64) for part in state)
        arguments = (
            x @ weight.T + bias,
            OFFSETS,
            hidden,
            hidden_bias,
            h,
            c,
            "both" if layer.directions == 2 else "forward",
        )
        found.append(reference_recurrent.gates(unit, *arguments))
        x = reference_recurrent.recurrent(unit, *arguments)[0]
    return found


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("begun", [False, True])
def test_layers_against_float64(unit: str, both: bool, layers: int, begun: bool) -> None:
    layer, x = made(unit, layers, both), numbers(TOKENS, INPUT)
    state, parts = first_state(unit, layers * layer.directions) if begun else (None, None)
    *_, gates = layer(tensor(x), OFFSETS, state, return_weights=True)
    found = expected(unit, layer, x.astype(np.float64), parts)
    assert len(gates) == layers
    for got, exact in zip(gates, found, strict=True):
        assert got._asdict().keys() == exact.keys()
        for name, values in got._asdict().items():
            assert values.shape == (TOKENS, layer.directions * HIDDEN)
            assert values.numpy().min() > 0.0 and values.numpy().max() < 1.0
            assert_close(values, exact[name], terms=64 * layers)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("both", [False, True])
def test_output_state_and_gradients_are_the_same_to_the_bit(unit: str, both: bool) -> None:
    layer, upstream = made(unit, 2, both, dropout=0.4), numbers(TOKENS, HIDDEN * (1 + both), seed=1)
    runs = []
    for asked in (False, True):
        attnkit.manual_seed(7)  # dropout between the layers
        layer.zero_grad()
        x = tensor(numbers(TOKENS, INPUT), requires_grad=True)
        output, state, *_ = layer(x, OFFSETS, return_weights=asked)
        output.backward(upstream)
        states = state if isinstance(state, tuple) else (state,)
        runs.append([output, *states, x.grad, *(parameter.grad for parameter in layer.parameters())])
    for plain, with_gates in zip(*runs, strict=True):
        np.testing.assert_array_equal(with_gates.numpy(), plain.numpy())


@pytest.mark.parametrize("unit", UNITS)
def test_a_packed_batch_is_its_sentences_one_by_one(unit: str) -> None:
    layer, x = made(unit, 2, True), numbers(TOKENS, INPUT)
    *_, batch = layer(tensor(x), OFFSETS, return_weights=True)
    for begin, end in pairwise(OFFSETS.tolist()):
        if begin == end:
            continue
        *_, alone = layer(tensor(x[begin:end]), np.array([0, end - begin], np.int32), return_weights=True)
        for whole, single in zip(batch, alone, strict=True):
            for a, b in zip(whole, single, strict=True):
                np.testing.assert_allclose(b.numpy(), a.numpy()[begin:end], rtol=1e-5)


@pytest.mark.parametrize("unit", UNITS)
def test_gates_can_be_learnt_through(unit: str) -> None:
    """A loss may say what a gate should be: their gradient is exact."""
    layer, x = made(unit, both=True), numbers(TOKENS, INPUT)
    upstream = numbers(TOKENS, 2 * HIDDEN, seed=2)
    inputs = tensor(x, requires_grad=True)
    *_, [gates] = layer(inputs, OFFSETS, return_weights=True)
    gates[1].backward(upstream)
    name = gates._fields[1]
    exact = numeric_gradients(lambda x64: expected(unit, layer, x64, None)[0][name], [x.astype(np.float64)], upstream)
    assert inputs.grad is not None
    assert_close(inputs.grad, exact[0], terms=200, scale=1.0)


@pytest.mark.parametrize("unit", UNITS)
def test_a_cell_s_gates_are_the_layer_s_and_hooks_see_its_steps(unit: str) -> None:
    layer, cell, x = made(unit), CELLS[unit](INPUT, HIDDEN), tensor(numbers(5, INPUT))
    cell.weights = layer.layers[0]
    output, _, [gates] = layer(x, np.array([0, 5], np.int32), return_weights=True)
    zeros = tensor(np.zeros((1, HIDDEN), np.float32))
    state: Any = (zeros, zeros) if unit == "lstm" else zeros
    with nn.watching(cell) as seen:
        for word in range(5):
            state = cell.step(cell.project(x[word : word + 1]), state)
            h = state[0] if unit == "lstm" else state
            np.testing.assert_allclose(h.numpy(), output.numpy()[word : word + 1], rtol=1e-5, atol=1e-7)
    assert len(seen) == 5
    for word, each in enumerate(seen):
        for got, whole in zip(each.weights, gates, strict=True):
            np.testing.assert_allclose(got.numpy(), whole.numpy()[word : word + 1], rtol=1e-5)
    asked = cell(x[:1], state, return_weights=True)
    plain = cell(x[:1], state)
    for a, b in zip(asked[:-1], plain if unit == "lstm" else (plain,), strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_gate_of_an_ssru() -> None:
    layer, x = nn.SSRU(6), numbers(TOKENS, 6)
    randomise(layer, deviation=0.7)
    output, gates = layer(tensor(x), OFFSETS, return_weights=True)
    np.testing.assert_array_equal(output.numpy(), layer(tensor(x), OFFSETS).numpy())
    p = weights_of(layer)
    exact = sigmoid(x.astype(np.float64) @ p["projection.weight"][:6].T + p["bias"])
    assert_close(gates.forget, exact, terms=64)


def test_a_layer_under_two_names_is_watched_once() -> None:
    both = nn.Module()
    both.first = made("gru")
    both.second = both.first
    x = tensor(numbers(TOKENS, INPUT))
    plain = both.first(x, OFFSETS)[0].numpy()
    with nn.watching(both) as seen:
        output, state = both.second(x, OFFSETS)
    np.testing.assert_array_equal(output.numpy(), plain)
    assert state.shape == (1, SENTENCES, HIDDEN)
    assert [each.name for each in seen] == ["first"]


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("unit", UNITS)
def test_every_precision_gives_gates(unit: str, precision: Any) -> None:
    layer, x = made(unit, both=True), tensor(numbers(TOKENS, INPUT))
    with attnkit.no_grad():
        *_, [exact] = layer(x, OFFSETS, return_weights=True)
        with attnkit.precision(precision):
            output, *_ = layer(x, OFFSETS)
            asked, _, [rounded] = layer(x, OFFSETS, return_weights=True)
    np.testing.assert_array_equal(asked.numpy(), output.numpy())
    for got, wanted in zip(rounded, exact, strict=True):
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), atol=0.05)
