"""The LSTM network: against float64, finite differences and itself one by one; and the order that it steps in."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import reference
from closeness import assert_close, numeric_gradients
from pytorch_twin import randomise
from reference_family import Weights, weights_of

import attnkit
from attnkit import nn, ops
from attnkit._tensor import tensor
from attnkit.nn.time_major import TimeMajor

LENGTHS = [3, 1, 5, 3]
OFFSETS = np.cumsum([0, *LENGTHS]).astype(np.int32)
INPUT, HIDDEN = 3, 4


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def lstmn(p: Weights, x: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Cheng et al. (2016), equations 4 to 9, token by token: the outputs, and the weights [n, n] of each sentence."""
    outputs, weights = [], []
    for begin, end in itertools.pairwise(offsets):
        hs, cs = np.zeros((0, HIDDEN)), np.zeros((0, HIDDEN))
        summary, matrix = np.zeros(HIDDEN), np.zeros((end - begin, end - begin))
        for t, token in enumerate(x[begin:end]):
            query = token @ p["query.weight"].T + p["query.bias"] + summary @ p["summary.weight"].T
            s = reference.softmax(np.tanh(hs @ p["key.weight"].T + query) @ p["v"]) if t else np.zeros(0)
            summary, cell = s @ hs, s @ cs
            gates = token @ p["cell.weights.input_weight"].T + p["cell.weights.input_bias"]
            gates = gates + summary @ p["cell.weights.hidden_weight"].T + p["cell.weights.hidden_bias"]
            i, f, g, o = np.split(gates, 4)
            c = reference.sigmoid(f) * cell + reference.sigmoid(i) * np.tanh(g)
            h = reference.sigmoid(o) * np.tanh(c)
            hs, cs, matrix[t, :t] = np.vstack([hs, h]), np.vstack([cs, c]), s
        outputs.append(hs)
        weights.append(matrix)
    return np.vstack(outputs), weights


def layer() -> nn.LSTMN:
    module = nn.LSTMN(INPUT, HIDDEN, 5)
    randomise(module, deviation=0.7)
    return module


def test_against_float64(isa: str) -> None:
    module, x = layer(), numbers(OFFSETS[-1], INPUT)
    output, (h, c), weights = module(tensor(x), OFFSETS, return_weights=True)
    expected, matrices = lstmn(weights_of(module), x.astype(np.float64), OFFSETS)
    assert_close(output, expected, terms=64)
    assert_close(weights, np.concatenate([matrix.ravel() for matrix in matrices]), terms=64)
    assert_close(h, expected[OFFSETS[1:] - 1], terms=64)
    assert h.shape == c.shape == (len(LENGTHS), HIDDEN)
    for matrix in matrices:  # behind the first token they sum to one
        np.testing.assert_allclose(matrix[1:].sum(axis=1), 1.0)


def test_gradients() -> None:
    module, x = layer(), numbers(OFFSETS[-1], INPUT)
    upstream = numbers(OFFSETS[-1], HIDDEN, seed=1)
    inputs = tensor(x, requires_grad=True)
    module(inputs, OFFSETS)[0].backward(upstream)
    names = [name for name, _ in module.named_parameters()]

    def formula(x64: np.ndarray, *parameters: np.ndarray) -> np.ndarray:
        return lstmn(dict(zip(names, parameters, strict=True)), x64, OFFSETS)[0]

    arrays = [x.astype(np.float64), *weights_of(module).values()]
    for got, expected in zip([inputs, *module.parameters()], numeric_gradients(formula, arrays, upstream), strict=True):
        assert got.grad is not None
        assert_close(got.grad, expected, terms=200, scale=1.0)


def test_a_batch_is_its_sentences_one_by_one() -> None:
    module, x = layer(), numbers(OFFSETS[-1], INPUT)
    output, _ = module(tensor(x), OFFSETS)
    for begin, end in itertools.pairwise(OFFSETS):
        alone, _ = module(tensor(x[begin:end]), np.array([0, end - begin], np.int32))
        np.testing.assert_array_equal(alone, output.numpy()[begin:end])


def test_it_learns_to_count_back() -> None:
    """The first number of a sequence, said at its end: a state alone holds it badly, a tape holds it for ever."""
    attnkit.manual_seed(3)
    module, head = nn.LSTMN(1, 12), nn.Linear(12, 1)
    lengths = [2, 4, 6, 8, 5, 7] * 4
    offsets = np.cumsum([0, *lengths]).astype(np.int32)
    x = numbers(offsets[-1], 1, seed=2)
    answers = x[offsets[:-1]]
    parameters = [*module.parameters(), *head.parameters()]
    optimizer = attnkit.optim.Adam(parameters, lr=0.02)
    for _ in range(120):
        _, (h, _) = module(tensor(x), offsets)
        error = head(h) - answers
        loss = (error * error).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.05


def test_time_major() -> None:
    order = TimeMajor(OFFSETS)
    assert order.order.tolist() == [2, 0, 3, 1]
    assert order.active.tolist() == [4, 3, 3, 1, 1]
    x = numbers(OFFSETS[-1], 2)
    parts = order.split(tensor(x))
    np.testing.assert_array_equal(parts[1], x[[5, 1, 10]])
    np.testing.assert_array_equal(order.join(parts), x)
    assert order.offsets(1).tolist() == [0, 1, 2, 3, 3]
    t = tensor(x, requires_grad=True)
    (order.join([part * float(i) for i, part in enumerate(order.split(t))])).sum().backward()
    assert t.grad is not None
    np.testing.assert_array_equal(t.grad.numpy()[:, 0], nn.packed_positions(OFFSETS))


def test_two_thousand_tokens() -> None:
    module = nn.LSTMN(2, 4)
    output, _ = module(tensor(numbers(2000, 2)), np.array([0, 2000], np.int32))
    assert np.isfinite(output.numpy()).all()
    ops.linear(output, numbers(1, 4)).sum().backward()
    assert all(p.grad is not None and np.isfinite(p.grad.numpy()).all() for p in module.parameters())


@pytest.mark.parametrize("sizes", [(0, 4), (4, 0)])
def test_sizes_of_nothing_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected sizes of at least 1"):
        nn.LSTMN(*sizes)
