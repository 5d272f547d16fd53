"""Pooling of packed sequences: the formulas, their gradients, weights that sum to one, empty sequences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from closeness import assert_close, numeric_gradients
from reference_documents import attention_pooling

import attnkit
from attnkit import nn

OFFSETS = np.array([0, 3, 3, 4, 21, 28], np.int32)
WIDTH, HIDDEN = 13, 7


def states(width: int = WIDTH, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((OFFSETS[-1], width)).astype(np.float32)


def parameters(layer: nn.AttentionPooling) -> list[np.ndarray]:
    parts = (layer.projection.weight, layer.projection.bias, layer.context)
    weight, bias, context = (np.asarray(part, np.float64) for part in parts)
    return [weight, bias, context[0]]


def test_attention_pooling_is_the_formula(isa: str, threads: int) -> None:
    layer = nn.AttentionPooling(WIDTH, HIDDEN)
    layer.projection.bias.copy_(np.linspace(-1, 1, HIDDEN, dtype=np.float32))
    x = states()
    pooled, weights = layer(attnkit.tensor(x), OFFSETS, return_weights=True)
    expected, expected_weights = attention_pooling(x.astype(np.float64), OFFSETS, *parameters(layer))
    assert_close(pooled, expected, terms=WIDTH * HIDDEN)
    assert_close(weights, expected_weights, terms=WIDTH * HIDDEN)
    np.testing.assert_array_equal(layer(attnkit.tensor(x), OFFSETS).numpy(), pooled.numpy())


def test_gradients() -> None:
    layer = nn.AttentionPooling(WIDTH, HIDDEN)
    x, upstream = states(), np.random.default_rng(1).standard_normal((len(OFFSETS) - 1, WIDTH)).astype(np.float32)
    tensor = attnkit.tensor(x, requires_grad=True)
    layer(tensor, OFFSETS).backward(upstream)
    weight, bias, context = parameters(layer)

    def pooled(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, context: np.ndarray) -> np.ndarray:
        return attention_pooling(x, OFFSETS, weight, bias, context)[0]

    expected = numeric_gradients(pooled, [x, weight, bias, context], upstream)
    got = [tensor.grad, layer.projection.weight.grad, layer.projection.bias.grad, layer.context.grad]
    assert got[3] is not None
    for ours, wanted in zip([*got[:3], got[3].numpy()[0]], expected, strict=True):
        assert ours is not None
        assert_close(ours, wanted, terms=WIDTH * HIDDEN * 16)


@pytest.mark.parametrize("kind", ["attention", "mean", "first", "last"])
def test_weights_sum_to_one_and_give_the_vector(kind: str) -> None:
    layer = {
        "attention": lambda: nn.AttentionPooling(WIDTH, HIDDEN),
        "mean": nn.MeanPooling,
        "first": nn.FirstPooling,
        "last": nn.LastPooling,
    }[kind]()
    x = states()
    pooled, weights = layer(attnkit.tensor(x), OFFSETS, return_weights=True)
    np.testing.assert_array_equal(layer(attnkit.tensor(x), OFFSETS).numpy(), pooled.numpy())
    for b, (begin, end) in enumerate(pairwise(OFFSETS)):
        own = weights.numpy()[begin:end].astype(np.float64)
        assert_close(own.sum(), float(end > begin), terms=20)
        assert_close(pooled.numpy()[b], own @ x[begin:end].astype(np.float64), terms=20)
    simple = {"mean": x[4:21].mean(axis=0), "first": x[4], "last": x[20]}
    if kind in simple:
        assert_close(pooled.numpy()[3], simple[kind], terms=20)


def test_no_sequence_at_all() -> None:
    empty = np.zeros(1, np.int32)
    for layer in (nn.AttentionPooling(WIDTH, HIDDEN), nn.MeanPooling(), nn.FirstPooling(), nn.LastPooling()):
        assert layer(attnkit.tensor(np.zeros((0, WIDTH), np.float32)), empty).shape == (0, WIDTH)


def test_a_sequence_pools_to_the_same_bits_alone(isa: str) -> None:
    layer = nn.AttentionPooling(64, 48)
    x = states(64)
    together = layer(attnkit.tensor(x), OFFSETS).numpy()
    for b, (begin, end) in enumerate(pairwise(OFFSETS)):
        alone = layer(attnkit.tensor(x[begin:end].copy()), np.array([0, end - begin], np.int32)).numpy()
        np.testing.assert_array_equal(alone[0], together[b])
