"""packed_attention with a bias by relative position: against float64, finite differences and PyTorch, and in steps."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from closeness import assert_close, numeric_gradients
from reference import attention

import attnkit
from attnkit import _core, ops

Array = npt.NDArray[Any]

QUERIES, KEYS = [3, 0, 20, 1, 33], [5, 7, 31, 1, 0]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"causal": True},
    {"causal": True, "query_offset": 3},
    {"window": (3, 2)},
    {"window": (10, -1), "causal": True, "query_offset": -2},
    {"softcap": 2.0},
    {"scale": 1.0},
]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def offsets_of(lengths: list[int]) -> npt.NDArray[np.int32]:
    return np.cumsum([0, *lengths], dtype=np.int32)


def leaf(array: Array) -> attnkit.Tensor:
    return attnkit.tensor(array, requires_grad=True)


def gradient(x: attnkit.Tensor) -> Array:
    assert x.grad is not None
    return x.grad.numpy()


def matrix(table: Array, queries: int, keys: int, query_offset: int = 0) -> Array:
    """[heads, queries, keys]: what the table says of each pair."""
    reach = table.shape[1] // 2
    distance = np.arange(keys)[None, :] - np.arange(queries)[:, None] - query_offset
    full: Array = table[:, np.clip(distance, -reach, reach) + reach]
    return full


def heads_of(rows: Array, heads: int) -> Array:
    """[n, heads · d] → [1, heads, n, d]"""
    return np.ascontiguousarray(rows.reshape(len(rows), heads, rows.shape[1] // heads).swapaxes(0, 1)[None])


def rows_of(heads: Array) -> Array:
    return heads[0].swapaxes(0, 1).reshape(heads.shape[2], heads.shape[1] * heads.shape[3])


def packed_formula(
    query: Array, key: Array, value: Array, table: Array, lengths: tuple[list[int], list[int]], heads: tuple[int, int],
    **options: Any,
) -> tuple[Array, Array]:  # fmt: skip
    """Sentence by sentence in float64, with the whole matrix as mask: output, flat weights."""
    outputs, weights = [], []
    for rows, keys in zip(*(np.split(np.arange(sum(each)), np.cumsum(each)[:-1]) for each in lengths), strict=True):
        if not len(keys):
            outputs.append(np.zeros((len(rows), value.shape[1] // heads[1] * heads[0])))
            continue
        q, k, v = heads_of(query[rows], heads[0]), heads_of(key[keys], heads[1]), heads_of(value[keys], heads[1])
        mask = matrix(table, len(rows), len(keys), options.get("query_offset", 0))
        out, weight = attention(q, k, v, mask, **options)
        outputs.append(rows_of(out))
        weights.append(weight.ravel())
    return np.concatenate(outputs), np.concatenate(weights)


def options_id(options: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items()) or "plain"


@pytest.mark.parametrize("options", OPTIONS, ids=options_id)
@pytest.mark.parametrize("reach", [0, 4, 50])
def test_output_and_weights(reach: int, options: dict[str, Any], isa: str, threads: int) -> None:
    arrays = numbers(57, 4 * 12), numbers(44, 2 * 12, seed=1), numbers(44, 2 * 8, seed=2)
    table = numbers(4, 2 * reach + 1, seed=3)
    offsets = offsets_of(QUERIES), offsets_of(KEYS)
    given: dict[str, Any] = dict(heads=4, kv_heads=2, position_bias=table, **options)
    output, weights = ops.packed_attention(*arrays, *offsets, return_weights=True, **given)
    want, want_weights = packed_formula(*arrays, table, (QUERIES, KEYS), (4, 2), **options)
    assert_close(output, want, terms=31, scale=1.0)
    assert_close(weights, want_weights, terms=16)
    np.testing.assert_array_equal(ops.packed_attention(*arrays, *offsets, **given), output)
    del given["position_bias"]
    if reach:
        assert np.abs(ops.packed_attention(*arrays, *offsets, **given) - output).max() > 1e-2
    else:  # the same for all keys of a head
        assert_close(ops.packed_attention(*arrays, *offsets, **given), want, terms=31, scale=1.0)


def test_long_sentences(isa: str) -> None:
    """Several blocks of keys, several tiles of queries."""
    arrays = numbers(350, 2 * 16), numbers(700, 2 * 16, seed=1), numbers(700, 2 * 16, seed=2)
    table, lengths = numbers(2, 61, seed=3), ([300, 50], [600, 100])
    given: dict[str, Any] = dict(heads=2, position_bias=table, query_offset=200, causal=True)
    output = ops.packed_attention(*arrays, *map(offsets_of, lengths), **given)
    want, _ = packed_formula(*arrays, table, lengths, (2, 2), query_offset=200, causal=True)
    assert_close(output, want, terms=600, scale=1.0)


GRADIENT_LENGTHS = ([3, 0, 9, 1, 6], [5, 2, 11, 1, 0])
GRADIENT_ARRAYS = numbers(19, 4 * 5), numbers(19, 2 * 5, seed=1), numbers(19, 2 * 3, seed=2), numbers(4, 9, seed=3)
GRADIENT_UPSTREAM = numbers(19, 4 * 3, seed=9)


@functools.cache
def exact_gradients(which: int) -> list[Array]:
    """Of the formula under OPTIONS[which]: some thousand evaluations, alike for all instruction sets and threads."""

    def formula(*given: Array) -> Array:
        return packed_formula(given[0], given[1], given[2], given[3], GRADIENT_LENGTHS, (4, 2), **OPTIONS[which])[0]

    return numeric_gradients(formula, [x.astype(np.float64) for x in GRADIENT_ARRAYS], GRADIENT_UPSTREAM)


@pytest.mark.parametrize("which", range(len(OPTIONS)), ids=[options_id(options) for options in OPTIONS])
def test_gradients(which: int, isa: str, threads: int) -> None:
    query, key, value, table = (leaf(x) for x in GRADIENT_ARRAYS)
    output = ops.packed_attention(
        query, key, value, *map(offsets_of, GRADIENT_LENGTHS), heads=4, kv_heads=2, position_bias=table,
        **OPTIONS[which],
    )  # fmt: skip
    output.backward(GRADIENT_UPSTREAM)
    for x, expected in zip((query, key, value, table), exact_gradients(which), strict=True):
        assert_close(gradient(x), expected, terms=19 * 19, scale=1.0)


def run(threads: int, batch: int, length: int) -> list[bytes]:
    _core.set_num_threads(threads)
    _core.manual_seed(7)
    offsets = offsets_of([length] * batch)
    x, table = leaf(numbers(batch * length, 3 * 24)), leaf(numbers(6, 41, seed=1))
    out = ops.packed_attention(x, None, None, offsets, heads=6, causal=True, dropout=0.1, position_bias=table)
    out.backward(numbers(*out.shape, seed=2))
    return [np.asarray(each).tobytes() for each in (out, x.grad, table.grad)]


# One sentence, fewer than are summed apart, and more of them.
@pytest.mark.parametrize(("batch", "length"), [(1, 300), (3, 40), (21, 30)])
def test_threads_change_nothing(batch: int, length: int, isa: str) -> None:
    assert run(1, batch, length) == run(2, batch, length) == run(5, batch, length)


@pytest.mark.parametrize("causal", [False, True])
def test_against_pytorch(causal: bool, isa: str) -> None:
    torch = pytest.importorskip("torch")
    heads, n, d, reach = 4, 37, 16, 12
    arrays = numbers(n, heads * d), numbers(n, heads * d, seed=1), numbers(n, heads * d, seed=2)
    table = numbers(heads, 2 * reach + 1, seed=3)
    mine = [leaf(x) for x in (*arrays, table)]
    theirs = [torch.tensor(x, requires_grad=True) for x in (*arrays, table)]
    offsets = offsets_of([n])
    output = ops.packed_attention(*mine[:3], offsets, heads=heads, causal=causal, position_bias=mine[3])
    distance = torch.arange(n)[None, :] - torch.arange(n)[:, None]
    bias = theirs[3][:, distance.clamp(-reach, reach) + reach]
    if causal:
        bias = bias.masked_fill(distance > 0, float("-inf"))
    q, k, v = (x.reshape(n, heads, d).transpose(0, 1)[None] for x in theirs[:3])
    want = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])[0]
    want = want.transpose(0, 1).reshape(n, -1)
    assert_close(output.numpy(), want.detach().numpy(), terms=n, scale=1.0)
    upstream = numbers(n, heads * d, seed=4)
    output.backward(upstream)
    want.backward(torch.tensor(upstream))
    for x, y in zip(mine, theirs, strict=True):
        assert_close(gradient(x), y.grad.numpy(), terms=n * 4, scale=1.0)


def test_a_table_that_hides(isa: str) -> None:
    """-inf beyond two places is a window, and a row that sees no key gives zeros."""
    x, offsets = numbers(23, 3 * 2 * 8), offsets_of([20, 3])
    table = np.zeros((2, 7), np.float32)
    table[:, [0, -1]] = -np.inf
    got = ops.packed_attention(x, None, None, offsets, heads=2, position_bias=table)
    assert_close(got, ops.packed_attention(x, None, None, offsets, heads=2, window=(2, 2)), terms=20, scale=1.0)
    nothing = ops.packed_attention(x, None, None, offsets, heads=2, position_bias=np.full((2, 1), -np.inf, np.float32))
    assert not nothing.any()


@pytest.mark.parametrize("d_head", [5, 16])
@pytest.mark.parametrize("reach", [0, 3, 40])
def test_a_step_of_decoding(reach: int, d_head: int, isa: str, threads: int) -> None:
    """All rows at once in float64, then a token at a time from the cache, and of a memory."""
    heads, width, steps = 3, 3 * d_head, 21
    memory_offsets = np.array([0, 4, 5, 16], np.int32)
    memory, projected = numbers(16, 2 * width, seed=1), numbers(3, steps, 3 * width, seed=2)
    table = numbers(heads, 2 * reach + 1, seed=3)
    state = _core.DecoderState([attnkit.tensor(memory)], memory_offsets)
    bias = attnkit.tensor(table)
    got, looked = [], []
    for i in range(steps):
        state.advance()
        got.append(ops.cached_attention(attnkit.tensor(projected[:, i].copy()), state, 0, heads, bias).numpy())
        query = attnkit.tensor(projected[:, i, :width].copy())
        found, weights = ops.memory_attention(query, state, 0, heads, True, bias)
        assert_close(weights.numpy().sum(1), np.ones(3), terms=16)
        looked.append(found.numpy())
    for row in range(3):
        query, key, value = np.split(projected[row], 3, axis=1)
        lengths = ([steps], [steps])
        want, _ = packed_formula(query, key, value, table, lengths, (heads, heads), causal=True)
        assert_close(np.stack(got, 1)[row], want, terms=d_head + steps)
        source = memory[memory_offsets[row] : memory_offsets[row + 1]]
        key, value = np.split(source, 2, axis=1)
        want, _ = packed_formula(query, key, value, table, ([steps], [len(source)]), (heads, heads))
        assert_close(np.stack(looked, 1)[row], want, terms=d_head + len(source))


def test_a_step_that_sees_no_key_gives_zeros(isa: str) -> None:
    state = _core.DecoderState([attnkit.tensor(numbers(4, 32))], np.array([0, 4], np.int32))
    state.advance()
    hidden = attnkit.tensor(np.full((2, 1), -np.inf, np.float32))
    assert not ops.cached_attention(attnkit.tensor(numbers(1, 48)), state, 0, 2, hidden).numpy().any()
    found, weights = ops.memory_attention(attnkit.tensor(numbers(1, 16)), state, 0, 2, True, hidden)
    assert not found.numpy().any() and not weights.numpy().any()


def test_no_matrix_is_made_of_the_table() -> None:
    """What backward keeps of a bias is a number for each head and distance: 128 KB here, where a matrix has 128 MB."""
    heads, length = 8, 2000
    x, offsets = leaf(numbers(length, 3 * heads)), offsets_of([length])

    def kept(table: attnkit.Tensor | None) -> int:
        before = _core.memory_stats()["bytes_in_use"]
        output = ops.packed_attention(x, None, None, offsets, heads=heads, position_bias=table)
        kept = _core.memory_stats()["bytes_in_use"] - before
        assert output.requires_grad
        return kept

    assert kept(leaf(numbers(heads, 257))) - kept(None) < 4 * heads * 2 * length * 2


def test_errors() -> None:
    x, offsets = numbers(4, 3 * 8), offsets_of([4])
    for shape in ((2, 4), (3, 5), (5,), (2, 0)):
        with pytest.raises(ValueError, match=r"\[packed_attention\] expected position_bias of shape \[2, 2 \* reach"):
            ops.packed_attention(x, None, None, offsets, heads=2, position_bias=numbers(*shape))
    state = _core.DecoderState([attnkit.tensor(numbers(4, 16))], np.array([0, 4], np.int32))
    state.advance()
    wrong = attnkit.tensor(numbers(2, 4))
    with pytest.raises(ValueError, match=r"\[cached_attention\] expected position_bias of shape .*, got \[2, 4\]"):
        ops.cached_attention(attnkit.tensor(numbers(1, 24)), state, 0, 2, wrong)
    with pytest.raises(ValueError, match=r"\[memory_attention\] expected position_bias of shape .*, got \[2, 4\]"):
        ops.memory_attention(attnkit.tensor(numbers(1, 8)), state, 0, 2, False, wrong)
    with pytest.raises(ValueError, match=r"\[attention\] expected no position_bias"):
        options = _core.AttentionOptions(position_bias=wrong)
        four = attnkit.tensor(numbers(1, 2, 4, 8))
        _core.attention(four, four, four, options)
