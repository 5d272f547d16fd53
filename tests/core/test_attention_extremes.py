"""Attention where float32 is at its ends: great scores, and rubbish that nobody sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import attnkit
from attnkit import ops

Array = npt.NDArray[np.float32]
SHAPES = [
    (1, 5),
    (1, 70),
    (3, 40),
    (4, 700),
    (9, 13),
    (25, 33),
    (30, 300),
    (70, 1100),
]  # queries, keys: each way of ours


def heads(rng: np.random.Generator, length: int, width: int, size: float = 1.0) -> Array:
    return (rng.standard_normal((1, 2, length, width)) * size).astype(np.float32)


def gradients(inputs: list[Array], upstream: Array, **options: Any) -> list[Array]:
    tensors = [attnkit.tensor(x, requires_grad=True) for x in inputs]
    (ops.attention(*tensors, **options) * attnkit.tensor(upstream)).sum().backward()
    return [np.asarray(tensor.grad) for tensor in tensors]


@pytest.mark.parametrize("size", [30.0, 1e2, 1e3, 1e5])
@pytest.mark.parametrize(("queries", "keys"), SHAPES)
@pytest.mark.parametrize("options", [{}, {"causal": True, "query_offset": 1000}, {"mask": True}, {"softcap": 1e6}])
def test_rows_add_up_to_one_at_great_scores(isa: str, size: float, queries: int, keys: int, options: Any) -> None:
    """Scores go up to a few times size² · √32; at 1e5 the step between two numbers of that size is thousands."""
    rng = np.random.default_rng(0)
    q, k = heads(rng, queries, 32, size), heads(rng, keys, 32, size)
    if "mask" in options:
        options = {"mask": np.ones((queries, keys), dtype=bool)}
    ones = np.ones((1, 2, keys, 32), dtype=np.float32)
    output, weights = ops.attention(q, k, ones, return_weights=True, **options)
    np.testing.assert_allclose(output, 1.0, rtol=2e-6)
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=2e-6)

    # The gradient of a value is its share of every row: with ones from above, all shares of a row, one for each query.
    dq, dk, dv = gradients([q, k, ones], np.ones_like(output), **options)
    np.testing.assert_allclose(dv[..., 0].sum(-1), queries, rtol=1e-5)
    assert np.isfinite(dq).all() and np.isfinite(dk).all()


@pytest.mark.parametrize("scale", [-0.5, 0.0, 3.0])
def test_any_scale(isa: str, scale: float) -> None:
    rng = np.random.default_rng(1)
    q, k, v = (heads(rng, 20, 8) for _ in range(3))
    scores = scale * (q.astype(np.float64) @ k.swapaxes(-1, -2))
    expected = np.exp(scores - scores.max(-1, keepdims=True))
    expected /= expected.sum(-1, keepdims=True)
    output, weights = ops.attention(q, k, v, scale=scale, return_weights=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(output, expected @ v, rtol=1e-5, atol=1e-6)


def hidden_options(queries: int, keys: int) -> dict[str, dict[str, Any]]:
    """Options under which query i sees keys up to i alone, or thereabouts."""
    sees = np.arange(keys) <= np.arange(queries)[:, None]
    return {
        "causal": {"causal": True},
        "window": {"window": (3, 0)},
        "bool mask": {"mask": sees},
        "float mask": {"mask": np.where(sees, np.float32(0.5), np.float32(-np.inf))},
        "softcap": {"mask": sees, "softcap": 2.0},
    }


@pytest.mark.parametrize("rubbish", [np.nan, np.inf])
@pytest.mark.parametrize("length", [3, 11, 40, 300])
@pytest.mark.parametrize("kind", ["causal", "window", "bool mask", "float mask", "softcap"])
def test_what_is_hidden_gives_nothing(isa: str, rubbish: float, length: int, kind: str) -> None:
    """A buffer's rubbish in key, value, query and upstream gradient of late positions never reaches the early ones."""
    rng = np.random.default_rng(2)
    options = hidden_options(length, length)[kind]
    q, k, v, upstream = (heads(rng, length, 24) for _ in range(4))
    late = 2 * length // 3
    dirty = [x.copy() for x in (q, k, v, upstream)]
    for x in dirty:
        x[:, :, late:] = rubbish

    clean_output, clean_weights = ops.attention(q, k, v, return_weights=True, **options)
    output, weights = ops.attention(dirty[0], dirty[1], dirty[2], return_weights=True, **options)
    np.testing.assert_allclose(output[:, :, :late], clean_output[:, :, :late], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(weights[:, :, :late], clean_weights[:, :, :late], rtol=1e-5, atol=1e-7)

    # The late queries see the early keys, and spoil their gradients; those of early queries are spoilt by nobody.
    dq = gradients(dirty[:3], dirty[3], **options)[0]
    upstream[:, :, late:] = 0.0
    np.testing.assert_allclose(dq[:, :, :late], gradients([q, k, v], upstream, **options)[0][:, :, :late], atol=1e-5)


def test_rubbish_that_is_seen_is_seen() -> None:
    rng = np.random.default_rng(3)
    q, k, v = (heads(rng, 40, 16) for _ in range(3))
    v[0, 0, 7] = np.nan
    v[0, 1, 9, 3] = np.inf
    output = ops.attention(q, k, v, causal=True)
    assert np.isnan(output[0, 0, 7:]).all() and np.isfinite(output[0, 0, :7]).all()
    assert (output[0, 1, 9:, 3] == np.inf).all() and np.isfinite(output[0, 1, :9]).all()
    assert np.isfinite(np.delete(output[0, 1], 3, axis=1)).all()


@pytest.mark.parametrize("length", [3, 40])
def test_a_query_spoils_only_the_keys_that_it_sees(isa: str, length: int) -> None:
    rng = np.random.default_rng(4)
    q, k, v, upstream = (heads(rng, length, 16) for _ in range(4))
    q[:, :, 1] = np.nan
    upstream[:, :, 1] = np.nan
    _, dk, dv = gradients([q, k, v], upstream, causal=True)
    assert np.isnan(dk[:, :, :2]).all() and np.isnan(dv[:, :, :2]).all()
    assert np.isfinite(dk[:, :, 2:]).all() and np.isfinite(dv[:, :, 2:]).all()


@pytest.mark.parametrize("size", [1e2, 1e4, 1e9, 1e30])
def test_packed_and_ragged_rows_add_up_to_one(isa: str, size: float) -> None:
    rng = np.random.default_rng(5)
    offsets, key_offsets = np.array([0, 3, 40], dtype=np.int32), np.array([0, 70, 170], dtype=np.int32)
    scores = (rng.standard_normal(3 * 70 + 37 * 100) * size).astype(np.float32)
    rows = [*np.split(ops.ragged_softmax(scores, offsets, key_offsets)[:210], 3)]
    rows += [*np.split(ops.ragged_softmax(scores, offsets, key_offsets)[210:], 37)]
    np.testing.assert_allclose([row.sum() for row in rows], 1.0, rtol=2e-6)

    marginals = ops.ragged_chain_marginals(scores, np.array([[0.1, 0.2], [0.3, 0.4]], np.float32), offsets, key_offsets)
    assert marginals.min() >= 0.0 and marginals.max() <= 1.0

    size = min(size, 1e5)
    q, k = ((rng.standard_normal((count, 64)) * size).astype(np.float32) for count in (40, 170))
    output = ops.packed_attention(q, k, np.ones_like(k), offsets, key_offsets, heads=2)
    np.testing.assert_allclose(output, 1.0, rtol=2e-6)
