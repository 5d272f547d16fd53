"""`backward_watched`: who follows a backward pass hears of each leaf once, when its gradient is complete."""

from __future__ import annotations

import numpy as np
import pytest

import attnkit
from attnkit import _core, ops


def leaf(*shape: int, seed: int = 0) -> attnkit.Tensor:
    values = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return attnkit.tensor(values, requires_grad=True)


def test_leaves_are_ready_from_the_last_layer_to_the_first() -> None:
    weights = [leaf(3, 3, seed=seed) for seed in range(4)]
    x = attnkit.tensor(np.ones((2, 3), np.float32))
    for weight in weights:
        x = ops.tanh(ops.linear(x, weight))
    heard: list[int] = []
    complete: list[np.ndarray] = []

    def on_ready(number: int) -> None:
        heard.append(number)
        gradient = weights[number].grad
        assert gradient is not None
        complete.append(gradient.numpy().copy())
        assert all(weights[earlier].grad is None for earlier in range(number)), "the rest is still to come"

    _core.backward_watched(x.sum(), None, weights, on_ready)
    assert heard == [3, 2, 1, 0]
    for number, gradient in zip(heard, complete, strict=True):
        last = weights[number].grad
        assert last is not None
        np.testing.assert_array_equal(gradient, last.numpy())


def test_a_leaf_of_several_uses_is_ready_after_the_last_of_them() -> None:
    """As tied embeddings are: read by the first layer and by the last one."""
    table, other = leaf(5, 3), leaf(3, 3, seed=1)
    hidden = ops.linear(ops.embedding(np.array([1, 4, 1], np.int32), table), other)
    loss = ops.linear(hidden, table).sum() + (table * table).sum()
    heard: list[int] = []
    _core.backward_watched(loss, None, [table, other], heard.append)
    assert heard == [1, 0]


def test_what_no_gradient_reaches_or_nobody_asked_for_is_not_heard_of() -> None:
    used, unused, not_asked = leaf(3), leaf(3, seed=1), leaf(3, seed=2)
    heard: list[int] = []
    loss = (used * not_asked).sum()
    _core.backward_watched(loss, None, [unused, used], heard.append)
    assert heard == [1] and unused.grad is None and not_asked.grad is not None


def test_gradients_are_those_of_backward() -> None:
    results = []
    for watched in (False, True):
        weight = leaf(4, 4)
        loss = ops.tanh(ops.linear(leaf(2, 4, seed=1), weight)).sum()
        scale = attnkit.tensor(np.float32(0.5))
        if watched:
            _core.backward_watched(loss, scale, [weight], lambda number: None)
        else:
            loss.backward(scale)
        assert weight.grad is not None
        results.append(weight.grad.numpy().tobytes())
    assert results[0] == results[1]


def test_an_error_of_the_listener_is_raised() -> None:
    weight = leaf(3)

    def refuse(number: int) -> None:
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        _core.backward_watched((weight * weight).sum(), None, [weight], refuse)
