"""attention and packed_attention: against float64, finite differences and PyTorch, and what must not change a bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from closeness import assert_close, numeric_gradients
from reference import attention, attention_dropout_factor

import attnkit
from attnkit import ops

Array = npt.NDArray[Any]

# (B, H, Hk, N, M, D, Dv): one vector, odd sizes, one query, few queries, several blocks of keys, grouped heads.
SIZES = [
    (2, 2, 2, 16, 16, 32, 32),
    (3, 4, 2, 5, 7, 8, 12),
    (1, 2, 1, 65, 65, 64, 64),
    (2, 2, 2, 1, 33, 32, 32),
    (2, 4, 2, 3, 300, 24, 40),
    (1, 1, 1, 4, 1, 3, 5),
    (2, 2, 1, 30, 530, 17, 33),
    (1, 2, 2, 75, 21, 20, 9),
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"causal": True},
    {"causal": True, "query_offset": 3},
    {"causal": True, "query_offset": -3},
    {"window": (3, 2)},
    {"window": (10, -1), "causal": True, "query_offset": 2},
    {"softcap": 2.0},
    {"scale": 0.7},
    {"scale": -0.5},
]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(array: Array) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def leaves_of(arrays: tuple[Array, Array, Array]) -> tuple[attnkit.Tensor, attnkit.Tensor, attnkit.Tensor]:
    q, k, v = arrays
    return leaf(q), leaf(k), leaf(v)


def gradient(x: attnkit.Tensor) -> Array:
    assert x.grad is not None
    return x.grad.numpy()


def inputs(size: tuple[int, ...], seed: int = 0) -> tuple[Array, Array, Array]:
    b, h, hk, n, m, d, dv = size
    return numbers(b, h, n, d, seed=seed), numbers(b, hk, m, d, seed=seed + 1), numbers(b, hk, m, dv, seed=seed + 2)


def options_id(options: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items()) or "plain"


# --- forward


@pytest.mark.parametrize("options", OPTIONS, ids=options_id)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_output_and_weights(size: tuple[int, ...], options: dict[str, Any], isa: str) -> None:
    q, k, v = inputs(size)
    output, weights = ops.attention(q, k, v, return_weights=True, **options)
    want, want_weights = attention(q, k, v, **options)
    assert_close(output, want, terms=size[4], scale=1.0)
    assert_close(weights, want_weights, terms=size[5])


MASKS: dict[str, tuple[type, tuple[int, ...]]] = {
    "bool": (bool, (2, 4, 9, 21)),
    "bool keys": (bool, (2, 1, 1, 21)),
    "bool square": (bool, (9, 21)),
    "float": (float, (2, 4, 9, 21)),
    "float heads": (float, (4, 9, 21)),
    "float sentences": (float, (2, 1, 9, 21)),
    "float shared": (float, (9, 21)),
    "float keys": (float, (21,)),
}


def mask_of(name: str) -> Array:
    kind, shape = MASKS[name]
    random = np.random.default_rng(5)
    return random.random(shape) < 0.6 if kind is bool else random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("name", MASKS)
def test_masks(name: str, isa: str) -> None:
    q, k, v = inputs((2, 4, 2, 9, 21, 16, 16))
    mask = mask_of(name)
    output, weights = ops.attention(q, k, v, mask=mask, return_weights=True)
    want, want_weights = attention(q, k, v, mask)
    assert_close(output, want, terms=21, scale=1.0)
    assert_close(weights, want_weights, terms=16)
    assert np.abs(output - ops.attention(q, k, v)).max() > 1e-2


def test_every_option_together(isa: str) -> None:
    q, k, v = inputs((2, 4, 2, 37, 290, 24, 16))
    mask = numbers(4, 1, 290, seed=7)
    options: dict[str, Any] = {
        "causal": True, "window": (100, -1), "query_offset": 200, "scale": 0.4, "softcap": 3.0,
    }  # fmt: skip
    state = attnkit.random_state()
    output = ops.attention(q, k, v, mask=mask, dropout=0.25, **options)
    factor = attention_dropout_factor(state, 0.25, (2, 4, 37, 290))
    assert_close(output, attention(q, k, v, mask, dropout_factor=factor, **options)[0], terms=290, scale=2.0)


@pytest.mark.parametrize("shape", [(2, 3, 16, 16), (2, 3, 7, 13), (1, 2, 2, 300), (1, 2, 40, 530)], ids=str)
def test_dropout_uses_the_documented_numbers(shape: tuple[int, ...], isa: str) -> None:
    b, h, n, m = shape
    q, k, v = inputs((b, h, h, n, m, 8, 8))
    attnkit.manual_seed(2**40 + 17)
    state = attnkit.random_state()
    output, weights = ops.attention(q, k, v, dropout=0.3, return_weights=True)
    factor = attention_dropout_factor(state, 0.3, (b, h, n, m))
    want, want_weights = attention(q, k, v, dropout_factor=factor)
    assert_close(output, want, terms=m, scale=1.0)
    assert_close(weights, want_weights, terms=8)
    assert 0.6 < (factor > 0).mean() < 0.8
    assert not np.array_equal(output, ops.attention(q, k, v, dropout=0.3)), "the next call takes the next stream"


def test_a_query_that_sees_no_key_gives_zeros(isa: str) -> None:
    q, k, v = inputs((1, 2, 2, 9, 6, 8, 8))
    mask = np.ones((9, 6), dtype=bool)
    mask[4] = False
    output, weights = ops.attention(q, k, v, mask=mask, causal=True, query_offset=-2, return_weights=True)
    for i in (0, 1, 4):
        assert not output[:, :, i].any()
        assert not weights[:, :, i].any()
    assert_close(output, attention(q, k, v, mask, causal=True, query_offset=-2)[0], terms=6, scale=1.0)
    infinite = np.where(mask, 0.0, -np.inf).astype(np.float32)
    np.testing.assert_array_equal(output, ops.attention(q, k, v, mask=infinite, causal=True, query_offset=-2))


def test_no_keys_at_all() -> None:
    q, k, v = inputs((2, 1, 1, 6, 0, 8, 4))
    output, weights = ops.attention(q, k, v, return_weights=True)
    assert output.shape == (2, 1, 6, 4)
    assert not output.any()
    assert weights.shape == (2, 1, 6, 0)


@pytest.mark.parametrize("queries", [1, 20])
def test_nan_spreads_to_its_row_and_no_further(queries: int, isa: str) -> None:
    q, k, v = inputs((1, 2, 2, queries, 40, 16, 16))
    bad = q.copy()
    bad[0, 0, 0, 3] = np.nan
    output = ops.attention(bad, k, v)
    assert np.isnan(output[0, 0, 0]).all()
    np.testing.assert_array_equal(output[0, 1], ops.attention(q, k, v)[0, 1])
    np.testing.assert_array_equal(output[0, 0, 1:], ops.attention(q, k, v)[0, 0, 1:])


def test_large_scores_do_not_overflow(isa: str) -> None:
    q, k, v = inputs((1, 1, 1, 20, 40, 16, 16))
    output = ops.attention(q * 100, k * 100, v)
    # The scores carry an error of epsilon times their size into the exponent.
    largest = float(np.abs((q * 100) @ (k * 100).swapaxes(-1, -2)).max()) / 4
    assert_close(output, attention(q * 100, k * 100, v)[0], terms=16, scale=largest)


# --- gradients


GRADIENT_OPTIONS: list[dict[str, Any]] = [
    *OPTIONS,
    {"window": (1, 1), "softcap": 1.5, "causal": True, "query_offset": 1},
]


@pytest.mark.parametrize("options", GRADIENT_OPTIONS, ids=options_id)
@pytest.mark.parametrize("size", [(2, 2, 2, 4, 5, 3, 2), (1, 4, 2, 6, 4, 2, 3)], ids=str)
def test_gradients_against_finite_differences(size: tuple[int, ...], options: dict[str, Any], isa: str) -> None:
    arrays = inputs(size)
    leaves = leaves_of(arrays)
    output = ops.attention(*leaves, **options)
    upstream = numbers(*output.shape, seed=9)
    output.backward(upstream)
    want = numeric_gradients(
        lambda q, k, v: attention(q, k, v, **options)[0], [x.astype(np.float64) for x in arrays], upstream
    )
    for x, expected in zip(leaves, want, strict=True):
        assert_close(gradient(x), expected, terms=size[3] * size[4], scale=1.0)


@pytest.mark.parametrize("name", [name for name in MASKS if MASKS[name][0] is float])
def test_the_gradient_of_a_float_mask(name: str, isa: str, threads: int) -> None:
    b, h, n, m = 2, 4, 9, 21
    q, k, v = inputs((b, h, 2, n, m, 8, 8))
    mask = leaf(mask_of(name))
    output = ops.attention(q, k, v, mask=mask)
    upstream = numbers(*output.shape, seed=9)
    output.backward(upstream)
    (want,) = numeric_gradients(lambda bias: attention(q, k, v, bias)[0], [mask.numpy().astype(np.float64)], upstream)
    assert_close(gradient(mask), want, terms=b * h * n * m / mask.size * 8, scale=1.0)


def float64_gradients(
    q: Array, k: Array, v: Array, upstream: Array, factor: Array | None, **options: Any
) -> list[Array]:
    """The derivatives written out, for sizes where finite differences take too long."""
    group = q.shape[1] // k.shape[1]
    _, weights = attention(q, k, v, **options)
    query, doutput = q.astype(np.float64), upstream.astype(np.float64)
    key, value = (np.repeat(x.astype(np.float64), group, axis=1) for x in (k, v))
    kept = np.ones(1) if factor is None else factor
    dweights = doutput @ value.swapaxes(-1, -2) * kept
    dscores = weights * (dweights - (dweights * weights).sum(-1, keepdims=True)) / math.sqrt(q.shape[-1])

    def of_group(x: Array) -> Array:
        return x.reshape(x.shape[0], -1, group, *x.shape[2:]).sum(axis=2)

    dkey = of_group(dscores.swapaxes(-1, -2) @ query)
    return [dscores @ key, dkey, of_group((weights * kept).swapaxes(-1, -2) @ doutput)]


# The last has several groups of keys, whose shares of dquery are summed apart.
@pytest.mark.parametrize(
    "size",
    [(2, 4, 2, 70, 150, 24, 17), (1, 2, 1, 3, 40, 8, 8), (1, 2, 2, 30, 2100, 8, 8), (1, 1, 1, 1, 1, 1, 1)],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"causal": True, "query_offset": 40}, {"window": (20, 30)}], ids=options_id)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradients_of_long_sequences(size: tuple[int, ...], options: dict[str, Any], dropout: float, isa: str) -> None:
    b, h, _, n, m, _, _ = size
    arrays = inputs(size)
    leaves = leaves_of(arrays)
    state = attnkit.random_state()
    output = ops.attention(*leaves, dropout=dropout, **options)
    upstream = numbers(*output.shape, seed=9)
    output.backward(upstream)
    factor = attention_dropout_factor(state, dropout, (b, h, n, m)) if dropout else None
    for x, expected in zip(leaves, float64_gradients(*arrays, upstream, factor, **options), strict=True):
        assert_close(gradient(x), expected, terms=max(n, m), scale=1.0)


def test_rows_without_keys_have_no_gradient(isa: str) -> None:
    q, k, v = leaves_of(inputs((1, 1, 1, 8, 5, 4, 4)))
    output = ops.attention(q, k, v, causal=True, query_offset=-6)
    output.backward(numbers(1, 1, 8, 4, seed=9))
    assert not gradient(q)[:, :, :6].any()
    assert not gradient(k)[:, :, 2:].any()
    assert gradient(q)[:, :, 7].any()


# --- what must not change a bit


@pytest.mark.parametrize("queries", [3, 20, 300])
def test_asking_for_weights_changes_nothing(queries: int, isa: str) -> None:
    q, k, v = inputs((2, 2, 2, queries, 300, 16, 16))
    for options in ({}, {"causal": True}, {"softcap": 2.0}):
        np.testing.assert_array_equal(
            ops.attention(q, k, v, return_weights=True, **options)[0], ops.attention(q, k, v, **options)
        )


def run_all(q: Array, k: Array, v: Array, mask: Array | None = None) -> list[Array]:
    leaves = leaves_of((q, k, v))
    bias = None if mask is None else leaf(mask)
    output = ops.attention(*leaves, mask=bias, causal=True, query_offset=50)
    output.backward(numbers(*output.shape, seed=9))
    grads = [gradient(x) for x in leaves] + ([] if bias is None else [gradient(bias)])
    return [output.numpy(), *grads]


@pytest.mark.parametrize("size", [(3, 4, 2, 17, 17, 16, 16), (1, 1, 1, 1100, 1300, 16, 16)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_threads_change_nothing(size: tuple[int, ...], masked: bool, isa: str) -> None:
    arrays = inputs(size)
    mask = numbers(size[3], size[4], seed=3) if masked else None
    attnkit.set_num_threads(1)
    one = run_all(*arrays, mask)
    attnkit.set_num_threads(3)
    for a, b in zip(one, run_all(*arrays, mask), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("size", [(70, 2, 1, 17, 19, 16, 8), (70, 1, 1, 5, 1100, 8, 8)], ids=str)
def test_the_rest_of_the_batch_changes_nothing(size: tuple[int, ...], isa: str) -> None:
    """A batch of 70 and each of its members alone, forward and backward, though long ones are split differently."""
    q, k, v = inputs(size)
    whole = run_all(q, k, v)
    upstream = numbers(*whole[0].shape, seed=9)
    for b in (0, 33, 69):
        leaves = leaves_of((q[b : b + 1], k[b : b + 1], v[b : b + 1]))
        output = ops.attention(*leaves, causal=True, query_offset=50)
        output.backward(upstream[b : b + 1])
        for together, alone in zip(whole, [output.numpy(), *(gradient(x) for x in leaves)], strict=True):
            np.testing.assert_array_equal(together[b : b + 1], alone)


# --- packed


def packed(lengths: list[int], columns: int, seed: int) -> tuple[Array, npt.NDArray[np.int32]]:
    offsets = np.cumsum([0, *lengths], dtype=np.int32)
    return numbers(int(offsets[-1]), columns, seed=seed), offsets


def heads_of(rows: Array, heads: int) -> Array:
    """[n, heads · d] → [1, heads, n, d]"""
    return np.ascontiguousarray(rows.reshape(len(rows), heads, rows.shape[1] // heads).swapaxes(0, 1)[None])


@pytest.mark.parametrize("options", [{}, {"causal": True}, {"window": (2, 4)}, {"softcap": 1.0}], ids=options_id)
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_packed_sentences_are_those_alone(kv_heads: int, options: dict[str, Any], isa: str) -> None:
    query, query_offsets = packed([3, 0, 20, 1, 33], 4 * 12, seed=0)
    key, key_offsets = packed([5, 7, 31, 1, 0], kv_heads * 12, seed=1)
    value, _ = packed([5, 7, 31, 1, 0], kv_heads * 8, seed=2)
    leaves = leaves_of((query, key, value))
    output, weights = ops.packed_attention(
        *leaves, query_offsets, key_offsets, heads=4, kv_heads=kv_heads, return_weights=True, **options
    )
    upstream = numbers(*output.shape, seed=9)
    output.backward(upstream)
    start = 0
    for b in range(5):
        rows, keys = slice(*query_offsets[b : b + 2]), slice(*key_offsets[b : b + 2])
        q, k, v = (
            leaf(heads_of(x[s], h)) for x, s, h in ((query, rows, 4), (key, keys, kv_heads), (value, keys, kv_heads))
        )
        alone, alone_weights = ops.attention(q, k, v, return_weights=True, **options)
        alone.backward(heads_of(upstream[rows], 4))
        np.testing.assert_array_equal(heads_of(output.numpy()[rows], 4), alone.numpy())
        size = alone_weights.size
        np.testing.assert_array_equal(weights.numpy()[start : start + size], alone_weights.numpy().reshape(-1))
        start += size
        for whole, part, s, h in (
            (leaves[0], q, rows, 4),
            (leaves[1], k, keys, kv_heads),
            (leaves[2], v, keys, kv_heads),
        ):
            np.testing.assert_array_equal(heads_of(gradient(whole)[s], h), gradient(part))
    assert start == weights.size


def test_query_key_and_value_side_by_side(isa: str) -> None:
    rows, offsets = packed([4, 18, 9], 3 * 2 * 16, seed=0)
    query, key, value = (np.ascontiguousarray(x) for x in np.split(rows, 3, axis=1))
    together, apart = leaf(rows), leaves_of((query, key, value))
    one = ops.packed_attention(together, None, None, offsets, heads=2, causal=True)
    three = ops.packed_attention(*apart, offsets, heads=2, causal=True)
    np.testing.assert_array_equal(one.numpy(), three.numpy())
    upstream = numbers(*one.shape, seed=9)
    one.backward(upstream)
    three.backward(upstream)
    np.testing.assert_array_equal(gradient(together), np.concatenate([gradient(x) for x in apart], axis=1))


def test_incremental_decoding_is_one_full_pass(isa: str) -> None:
    q, k, v = inputs((2, 2, 2, 40, 40, 16, 16))
    full = ops.attention(q, k, v, causal=True)
    for i in (0, 7, 39):
        step = ops.attention(q[:, :, i : i + 1], k[:, :, : i + 1], v[:, :, : i + 1], causal=True, query_offset=i)
        assert_close(step, full[:, :, i : i + 1], terms=40, scale=1.0)


# --- PyTorch


@pytest.mark.parametrize(
    "size", [(2, 4, 4, 16, 16, 32, 32), (2, 3, 3, 65, 65, 64, 64), (1, 2, 2, 50, 600, 32, 32)], ids=str
)
@pytest.mark.parametrize("kind", ["plain", "causal", "bool", "float"])
def test_against_pytorch(size: tuple[int, ...], kind: str, isa: str) -> None:
    torch = pytest.importorskip("torch")
    b, h, _, n, m, _, _ = size
    arrays = inputs(size)
    random = np.random.default_rng(3)
    mask: Array | None = None
    if kind == "bool":
        mask = random.random((b, 1, n, m)) < 0.7
    elif kind == "float":
        mask = random.standard_normal((h, n, m)).astype(np.float32)
    mine, theirs = leaves_of(arrays), [torch.tensor(x, requires_grad=True) for x in arrays]
    output = ops.attention(*mine, mask=mask, causal=kind == "causal")
    want = torch.nn.functional.scaled_dot_product_attention(
        *theirs, attn_mask=None if mask is None else torch.tensor(mask), is_causal=kind == "causal"
    )
    assert_close(output.numpy(), want.detach().numpy(), terms=m, scale=1.0)
    upstream = numbers(*output.shape, seed=9)
    output.backward(upstream)
    want.backward(torch.tensor(upstream))
    for x, y in zip(mine, theirs, strict=True):
        assert_close(gradient(x), y.grad.numpy(), terms=max(n, m), scale=1.0)


@pytest.mark.parametrize("far", [1 << 40, (1 << 63) - 1])
def test_a_window_without_an_end_in_sight(far: int) -> None:
    q, k, v = numbers(1, 1, 5, 8), numbers(1, 1, 6, 8, seed=1), numbers(1, 1, 6, 8, seed=2)
    for window, open_window in ((3, far), (3, -1)), ((far, 2), (-1, 2)), ((far, far), (-1, -1)):
        expected = ops.attention(q, k, v, window=open_window)
        np.testing.assert_array_equal(ops.attention(q, k, v, window=window), expected)


# --- bad input


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((2, 8, 5, 64), (2, 8, 10, 32), (2, 8, 10, 64)), {}, r"\[attention\] expected key"),
        (((2, 8, 5, 64), (2, 8, 10, 64), (2, 8, 9, 64)), {}, r"\[attention\] expected value"),
        (((2, 8, 5, 64), (2, 3, 10, 64), (2, 3, 10, 64)), {}, r"\[attention\] expected 8 query heads"),
        (((5, 64), (2, 8, 10, 64), (2, 8, 10, 64)), {}, r"\[attention\] expected query"),
        (((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 5, 8)), {"dropout": 1.5}, r"\[attention\] expected dropout"),
        (((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 5, 8)), {"softcap": -1.0}, r"\[attention\] expected softcap"),
        (((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 5, 8)), {"mask": np.ones((5, 4), bool)}, r"\[attention\] expected mask"),
        (
            ((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 5, 8)),
            {"mask": np.ones((5, 5), int)},
            "bool or float, got int64",
        ),
        (((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 5, 8)), {"window": (1, -2)}, "numbers from -1, got 1 and -2"),
        (((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 5, 8)), {"query_offset": 2**62}, "query_offset within"),
        (
            ((1, 1, 5, 8), (1, 1, 5, 8), (1, 1, 5, 8)),
            {"mask": np.ones((2, 1, 5, 5), bool)},
            r"\[attention\] expected mask",
        ),
    ],
)
def test_wrong_shapes_are_refused(shapes: tuple[tuple[int, ...], ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ops.attention(numbers(*shapes[0]), numbers(*shapes[1]), numbers(*shapes[2]), **options)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [([0, 3, 2, 6], "never fall"), ([0, 3, 5], "from 0 to 6"), ([1, 3, 6], "from 0 to 6"), ([], "from 0 to 6")],
)
def test_wrong_offsets_are_refused(offsets: list[int], message: str) -> None:
    rows = numbers(6, 8)
    with pytest.raises(ValueError, match=message):
        ops.packed_attention(rows, rows, rows, np.array(offsets, dtype=np.int32), heads=2)
