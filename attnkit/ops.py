"""The functional API: every op on NumPy arrays or Tensors.

NumPy arrays in give a NumPy array out; with a Tensor among the inputs the result is a Tensor and can be differentiated.
Arrays are float32 (others are converted); token ids, labels and offsets are integer arrays or `attnkit.Indices`, never
Tensors. Indices were copied and looked through when they were made, an array is at each call.

Sizes: B batch, H heads, N queries, M keys, D head size, T packed tokens, V vocabulary. Shapes that do not fit raise
ValueError: `[op] expected ..., got ...`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from attnkit import _core
from attnkit._core import Indices, Tensor
from attnkit._tensor import float_array, writable_array

Array: TypeAlias = Any  # a Tensor, or anything NumPy makes a float32 array of
Ids: TypeAlias = ArrayLike | Indices

__all__ = [
    "add_dropout",
    "add_dropout_layer_norm",
    "add_dropout_rms_norm",
    "add_scaled_sequences",
    "attention",
    "avg_pool2d",
    "batch_norm",
    "cached_attention",
    "cached_ssru",
    "concatenate",
    "conv2d",
    "cross_entropy",
    "dropout",
    "embedding",
    "gather_rows",
    "gelu",
    "gelu_tanh",
    "gru",
    "gru_cell",
    "layer_norm",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "lstm",
    "lstm_cell",
    "matmul",
    "max_pool2d",
    "memory_attention",
    "packed_attention",
    "patches",
    "quick_gelu",
    "ragged_additive",
    "ragged_chain_marginals",
    "ragged_dots",
    "ragged_gaussian",
    "ragged_key_sums",
    "ragged_pick",
    "ragged_softmax",
    "ragged_sums",
    "relu",
    "rms_norm",
    "rnn",
    "rnn_cell",
    "scale_channels",
    "sigmoid",
    "silu",
    "softmax",
    "split",
    "ssru",
    "tanh",
    "unit_rows",
    "write_rows",
]


def _tensor(x: Array) -> Tensor:
    return x if isinstance(x, Tensor) else _core.from_array(float_array(x))


def _optional(x: Array | None) -> Tensor | None:
    return None if x is None else _tensor(x)


def _like(result: Tensor, *inputs: Array | None) -> Any:
    """`result` as it is when a Tensor was among the inputs, else as a NumPy array of its own."""
    if any(isinstance(x, Tensor) for x in inputs):
        return result
    return result.numpy().copy() if result.is_borrowed else writable_array(result)


def softmax(x: Array, axis: int = -1) -> Any:
    """exp(x) / sum of exp(x) along `axis`. A slice of -inf alone gives zeros."""
    return _along(_core.softmax, x, axis)


def log_softmax(x: Array, axis: int = -1) -> Any:
    """x - log(sum of exp(x)) along `axis`."""
    return _along(_core.log_softmax, x, axis)


def _along(op: Any, x: Array, axis: int) -> Any:
    t = _tensor(x)
    if axis in (-1, t.ndim - 1):
        return _like(op(t), x)
    return _like(op(t.transpose(axis, -1)).transpose(axis, -1), x)


def relu(x: Array) -> Any:
    """max(x, 0)."""
    return _like(_tensor(x).relu(), x)


def gelu(x: Array) -> Any:
    """x · Φ(x), exactly (Hendrycks and Gimpel, 2016)."""
    return _like(_tensor(x).gelu(), x)


def gelu_tanh(x: Array) -> Any:
    """x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2, an approximation of `gelu` (Hendrycks and Gimpel, 2016).

    Elsewhere: PyTorch's gelu with approximate="tanh"; `gelu_new`, `gelu_pytorch_tanh` and `gelu_fast` in transformers.
    """
    return _like(_tensor(x).gelu_tanh(), x)


def quick_gelu(x: Array) -> Any:
    """x · sigmoid(1.702 x), a rougher approximation of `gelu` (Hendrycks and Gimpel, 2016).

    Elsewhere: `quick_gelu` in transformers, QuickGELU of CLIP.
    """
    return _like(_tensor(x).quick_gelu(), x)


def silu(x: Array) -> Any:
    """x · sigmoid(x), also called swish."""
    return _like(_tensor(x).silu(), x)


def tanh(x: Array) -> Any:
    """Hyperbolic tangent."""
    return _like(_tensor(x).tanh(), x)


def sigmoid(x: Array) -> Any:
    """1 / (1 + exp(-x))."""
    return _like(_tensor(x).sigmoid(), x)


def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Any:
    """Layer normalisation over the last axis (Ba et al., 2016): x [..., D], weight [D], bias [D]."""
    _, normed = _core.add_dropout_layer_norm(_tensor(x), None, _optional(weight), _optional(bias), 0.0, eps)
    return _like(normed, x, weight, bias)


def add_dropout_layer_norm(
    residual: Array | None,
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    p: float = 0.0,
    eps: float = 1e-5,
) -> tuple[Any, Any]:
    """(sum, normed) with sum = residual + dropout(x) and normed its layer normalisation, in one pass over memory."""
    result = _core.add_dropout_layer_norm(_tensor(x), _optional(residual), _optional(weight), _optional(bias), p, eps)
    return _like(result[0], residual, x, weight, bias), _like(result[1], residual, x, weight, bias)


def rms_norm(x: Array, weight: Array | None = None, eps: float = 1e-5) -> Any:
    """x / √(mean of x² + eps) · weight over the last axis (Zhang and Sennrich, 2019): x [..., D], weight [D]."""
    _, normed = _core.add_dropout_rms_norm(_tensor(x), None, _optional(weight), 0.0, eps)
    return _like(normed, x, weight)


def add_dropout_rms_norm(
    residual: Array | None, x: Array, weight: Array | None = None, p: float = 0.0, eps: float = 1e-5
) -> tuple[Any, Any]:
    """(sum, normed) with sum = residual + dropout(x) and normed its `rms_norm`, in one pass over memory."""
    result = _core.add_dropout_rms_norm(_tensor(x), _optional(residual), _optional(weight), p, eps)
    return _like(result[0], residual, x, weight), _like(result[1], residual, x, weight)


def dropout(x: Array, p: float) -> Any:
    """Sets each number to zero with probability `p` and scales the rest by 1 / (1 - p) (Srivastava et al., 2014)."""
    return _like(_core.dropout(_tensor(x), p), x)


def add_dropout(residual: Array, x: Array, p: float) -> Any:
    """residual + dropout(x)."""
    return _like(_core.add_dropout(_tensor(residual), _tensor(x), p), residual, x)


def matmul(a: Array, b: Array) -> Any:
    """[..., M, K] · [..., K, N]; leading axes broadcast. The precision is that of `attnkit.precision`."""
    return _like(_core.matmul(_tensor(a), _tensor(b)), a, b)


def linear(x: Array, weight: Array, bias: Array | None = None, activation: str | None = None) -> Any:
    """activation(x · weightᵀ + bias): x [..., K], weight [N, K], bias [N].

    activation: "relu", "gelu", "gelu_tanh", "quick_gelu", "silu", "tanh", "sigmoid" or None.
    """
    return _like(_core.linear(_tensor(x), _tensor(weight), _optional(bias), activation), x, weight, bias)


def embedding(
    ids: Ids,
    weight: Array,
    scale: float = 1.0,
    position_weight: Array | None = None,
    position_ids: Ids | None = None,
    dropout: float = 0.0,
) -> Any:
    """dropout(scale · weight[ids] + position_weight[position_ids]): ids [T], weight [V, D] → [T, D].

    An id outside its table raises ValueError.
    """
    positions = None if position_ids is None else Indices(position_ids, "position_ids")
    result = _core.embedding(
        Indices(ids, "ids"), _tensor(weight), scale, _optional(position_weight), positions, dropout
    )
    return _like(result, weight, position_weight)


def concatenate(parts: list[Array], axis: int = 0) -> Any:
    """The parts one after the other along `axis`."""
    return _like(_core.concatenate([_tensor(part) for part in parts], axis), *parts)


def gather_rows(x: Array, rows: Ids) -> Any:
    """x[rows] along the first axis."""
    return _like(_core.gather_rows(_tensor(x), Indices(rows, "rows")), x)


def _reduce(losses: Any, count: int, reduction: str) -> Any:
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    if reduction == "mean":
        return losses.sum() * (1.0 / max(count, 1))
    raise ValueError(f'[reduction] expected "mean", "sum" or "none", got "{reduction}"')


def cross_entropy(
    logits: Array,
    labels: Ids,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """Cross-entropy of logits [T, V] against labels [T], with label smoothing (Szegedy et al., 2016).

    (1 - s) · -log p[label] + s · mean over v of -log p[v]; rows labelled `ignore_index` do not count.
    """
    targets = Indices(labels, "labels")
    losses = _core.cross_entropy(_tensor(logits), targets, label_smoothing, ignore_index)
    return _like(_reduce(losses, int((targets.numpy() != ignore_index).sum()), reduction), logits)


def linear_cross_entropy(
    hidden: Array,
    weight: Array,
    labels: Ids,
    bias: Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Any:
    """cross_entropy(hidden · weightᵀ + bias, labels) without ever holding the [T, V] logits.

    hidden [T, D], weight [V, D], bias [V]; reduction "mean" or "sum".
    """
    targets = Indices(labels, "labels")
    loss, _, count = _core.linear_cross_entropy(
        _tensor(hidden), _tensor(weight), _optional(bias), targets, label_smoothing, ignore_index
    )
    if reduction == "sum":
        loss = loss * float(count)
    elif reduction != "mean":
        raise ValueError(f'[linear_cross_entropy] expected reduction "mean" or "sum", got "{reduction}"')
    return _like(loss, hidden, weight, bias)


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Any:
    """Scaled dot-product attention (Vaswani et al., 2017, eq. 1), without storing the scores (Dao et al., 2022).

    q [B, H, N, D], k [B, Hk, M, D], v [B, Hk, M, Dv] → [B, H, N, Dv]; H is a multiple of Hk (grouped queries).

    mask: broadcast to [B, H, N, M]; bool (True = may attend) or float (added to the scores).
    causal: query i sees keys j ≤ i + query_offset.
    window: (left, right): query i sees keys from i + query_offset - left to i + query_offset + right; -1: no bound.
    scale: of the scores, 1/√D by default. softcap: c maps scores s to c · tanh(s / c) before the mask.
    dropout: of the weights. return_weights: also return them, [B, H, N, M], before dropout; the output stays the same
    to the bit. A query that sees no key gives zeros.
    """
    options = _core.AttentionOptions(
        mask=_mask(mask), causal=causal, window=window, query_offset=query_offset, scale=scale, softcap=softcap,
        dropout=dropout, return_weights=return_weights,
    )  # fmt: skip
    output, weights = _core.attention(_tensor(q), _tensor(k), _tensor(v), options)
    if weights is None:
        return _like(output, q, k, v, mask)
    return _like(output, q, k, v, mask), _like(weights, q, k, v, mask)


def _mask(mask: Array | None) -> Tensor | np.ndarray | None:
    if mask is None or isinstance(mask, Tensor):
        return mask
    array = np.asarray(mask)
    if array.dtype.kind not in "bf":  # added to the scores, the zeros and ones of integers would hide nothing
        raise ValueError(f"[attention] expected a mask of bool or float, got {array.dtype}")
    return np.ascontiguousarray(array) if array.dtype == np.bool_ else _tensor(array)


def packed_attention(
    query: Array,
    key: Array | None,
    value: Array | None,
    query_offsets: Ids,
    key_offsets: Ids | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    position_bias: Array | None = None,
    return_weights: bool = False,
) -> Any:
    """Attention over packed sentences: no padding, no mask.

    query [T, H·D], key [S, Hk·D], value [S, Hk·Dv] → [T, H·Dv]. Sentence b has the queries query_offsets[b] to
    query_offsets[b + 1] and the keys key_offsets[b] to key_offsets[b + 1] (the same where not given). With key None,
    query holds query, key and value side by side, [T, (H + 2·Hk)·D]; with value None, key holds key and value,
    [S, 2·Hk·D]. Other arguments as in `attention`. Weights come flat: for each sentence, for each head, [n, m].

    position_bias: [H, 2·reach + 1], relative positions: column reach + d is added to the score of the head for a key d
    places behind the query (d = j - i - query_offset, negative for keys before it), after the softcap. Further away
    than reach the first and the last column hold on. -inf hides. `nn.RelativePositionBias` learns one.
    """
    options = _core.AttentionOptions(
        causal=causal, window=window, query_offset=query_offset, scale=scale, softcap=softcap, dropout=dropout,
        return_weights=return_weights, position_bias=_optional(position_bias),
    )  # fmt: skip
    offsets = Indices(query_offsets, "query_offsets")
    output, weights = _core.packed_attention(
        _tensor(query), _optional(key), _optional(value), offsets,
        offsets if key_offsets is None else Indices(key_offsets, "key_offsets"), heads, kv_heads or heads, options,
    )  # fmt: skip
    inputs = query, key, value, position_bias
    return _like(output, *inputs) if weights is None else (_like(output, *inputs), _like(weights, *inputs))


def cached_attention(
    projected: Tensor, state: _core.DecoderState, layer: int, heads: int, position_bias: Tensor | None = None
) -> Tensor:
    """Self-attention in a step of decoding, never recorded.

    projected [rows, 3·W] is the query, key and value of each row's newest token, W = heads · head_dim → [rows, W]. Its
    key and value are kept in the state, which must have been advanced; the query attends to them and to those of the
    tokens before.

    position_bias: [heads, 2·reach + 1], by distance of the key from the newest token, as in `packed_attention`.
    """
    return _core.cached_attention(projected, state, layer, heads, position_bias)


def memory_attention(
    query: Tensor,
    state: _core.DecoderState,
    layer: int,
    heads: int,
    return_weights: bool = False,
    position_bias: Tensor | None = None,
    weights_head: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Attention to the sources in a step of decoding, never recorded: query [rows, W] → [rows, W].

    With return_weights also [rows, longest source], of the head `weights_head` or the mean over heads, zero beyond a
    row's own source. position_bias as in `cached_attention`: how far the key's place in its source lies behind that of
    the newest token.
    """
    return _core.memory_attention(query, state, layer, heads, return_weights, position_bias, weights_head)


# --- recurrent units. D directions: 1, or 2 for direction "both".


def rnn(
    projected: Array,
    offsets: Ids,
    weight: Array,
    bias: Array | None = None,
    state: Array | None = None,
    nonlinearity: str = "tanh",
    direction: str = "forward",
) -> tuple[Any, Any]:
    """A simple recurrent network over packed sentences (Elman, 1990): h' = act(x + weight · h + bias).

    projected [T, D·H] are the inputs' parts x (a linear layer of the inputs of all tokens), offsets [B + 1], weight
    [D·H, H], bias [D·H], state [D, B, H] (zeros where not given) → (output [T, D·H], the last states [D, B, H]).

    nonlinearity: "tanh" or "relu". direction: "forward", "backward" (each sentence is read from its end; outputs stay
    with their tokens), or "both" side by side, the weights of the forward direction first. An empty sentence passes its
    state on.
    """
    output, last, _ = _recurrent(nonlinearity, projected, offsets, weight, bias, state, None, direction)
    return output, last


def gru(
    projected: Array,
    offsets: Ids,
    weight: Array,
    bias: Array | None = None,
    state: Array | None = None,
    direction: str = "forward",
) -> tuple[Any, Any]:
    """A gated recurrent unit over packed sentences (Cho et al., 2014), as PyTorch computes it.

    With u = weight · h + bias, gate by gate: r = sigmoid(x_r + u_r), z = sigmoid(x_z + u_z), n = tanh(x_n + r · u_n),
    h' = (1 - z) · n + z · h. projected [T, D·3·H] holds x_r, x_z, x_n; weight [D·3·H, H], bias [D·3·H]. Everything else
    as in `rnn`.
    """
    output, last, _ = _recurrent("gru", projected, offsets, weight, bias, state, None, direction)
    return output, last


def lstm(
    projected: Array,
    offsets: Ids,
    weight: Array,
    bias: Array | None = None,
    state: tuple[Array, Array] | None = None,
    direction: str = "forward",
) -> tuple[Any, tuple[Any, Any]]:
    """Long short-term memory over packed sentences (Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000).

    With u = weight · h + bias, gate by gate: i = sigmoid(x_i + u_i), f = sigmoid(x_f + u_f), g = tanh(x_g + u_g),
    o = sigmoid(x_o + u_o), c' = f · c + i · g, h' = o · tanh(c'). projected [T, D·4·H] holds x_i, x_f, x_g, x_o; weight
    [D·4·H, H], bias [D·4·H]; state is the pair (h, c). Everything else as in `rnn`.
    """
    h, c = (None, None) if state is None else state
    output, last, cell = _recurrent("lstm", projected, offsets, weight, bias, h, c, direction)
    return output, (last, cell)


def _recurrent(
    unit: str,
    projected: Array,
    offsets: Ids,
    weight: Array,
    bias: Array | None,
    state: Array | None,
    cell: Array | None,
    direction: str,
) -> tuple[Any, Any, Any]:
    output, last, last_cell = _core.recurrent(
        unit, _tensor(projected), Indices(offsets, "offsets"), _tensor(weight), _optional(bias), _optional(state),
        _optional(cell), direction,
    )  # fmt: skip
    inputs = (projected, weight, bias, state, cell)
    return _like(output, *inputs), _like(last, *inputs), None if last_cell is None else _like(last_cell, *inputs)


def ssru(projected: Array, offsets: Ids, bias: Array, state: Array | None = None) -> tuple[Any, Any]:
    """The simpler simple recurrent unit over packed sentences (Kim et al., 2019, section 3.3).

    f = sigmoid(g + bias), c' = f · c + (1 - f) · x, h = relu(c'). projected [T, 2·H] holds g and x, bias [H]; state is
    c before the first token [B, H], zeros where not given. Returns h [T, H] and c behind the last token [B, H].
    """
    output, last = _core.ssru(_tensor(projected), Indices(offsets, "offsets"), _tensor(bias), _optional(state))
    inputs = (projected, bias, state)
    return _like(output, *inputs), _like(last, *inputs)


def cached_ssru(projected: Tensor, bias: Tensor, state: _core.DecoderState, layer: int) -> Tensor:
    """A step of `ssru` for the newest token of every row: projected [rows, 2·H], bias [H] → [rows, H]. The cells are
    those of a layer of `state`, after `state.advance()`."""
    return _core.cached_ssru(projected, bias, state, layer)


def rnn_cell(
    projected: Array, state: Array, weight: Array, bias: Array | None = None, nonlinearity: str = "tanh"
) -> Any:
    """One step of `rnn` for R rows: projected [R, H], state [R, H], weight [H, H], bias [H] → the new state [R, H]."""
    return _recurrent_step(nonlinearity, projected, weight, bias, state, None)[0]


def gru_cell(projected: Array, state: Array, weight: Array, bias: Array | None = None) -> Any:
    """One step of `gru` for R rows: projected [R, 3·H], state [R, H], weight [3·H, H], bias [3·H] → [R, H]."""
    return _recurrent_step("gru", projected, weight, bias, state, None)[0]


def lstm_cell(
    projected: Array, state: tuple[Array, Array], weight: Array, bias: Array | None = None
) -> tuple[Any, Any]:
    """One step of `lstm` for R rows: projected [R, 4·H], state (h, c) of [R, H], weight [4·H, H] → the new (h, c)."""
    return _recurrent_step("lstm", projected, weight, bias, *state)


def _recurrent_step(
    unit: str, projected: Array, weight: Array, bias: Array | None, state: Array, cell: Array | None
) -> tuple[Any, Any]:
    new, new_cell = _core.recurrent_step(
        unit, _tensor(projected), _tensor(weight), _optional(bias), _tensor(state), _optional(cell)
    )
    inputs = (projected, weight, bias, state, cell)
    return _like(new, *inputs), None if new_cell is None else _like(new_cell, *inputs)


# --- attention between packed sentences, taken apart
#
# Sentence b has N queries, rows query_offsets[b] to query_offsets[b + 1] of query [T, D], and M keys, rows
# key_offsets[b] to key_offsets[b + 1] of key [S, D]. Scores and weights are flat: for each sentence its [N, M] block,
# row-major, as `packed_attention` returns them for one head. In decoding the queries of a sentence are its hypotheses.


def _offsets(query_offsets: Ids, key_offsets: Ids) -> tuple[Indices, Indices]:
    return Indices(query_offsets, "query_offsets"), Indices(key_offsets, "key_offsets")


def _layout(query_offsets: Ids, key_offsets: Ids, begins: Ids | None, ends: Ids | None) -> tuple[Any, ...]:
    """Offsets, and the window of keys that each query reads."""
    window = (None if x is None else Indices(x, what) for x, what in ((begins, "begins"), (ends, "ends")))
    return *_offsets(query_offsets, key_offsets), *window


def ragged_dots(
    query: Array,
    key: Array,
    query_offsets: Ids,
    key_offsets: Ids,
    begins: Ids | None = None,
    ends: Ids | None = None,
) -> Any:
    """query_i · key_j for the queries and keys of each sentence: query [T, D], key [S, D] → flat scores.

    begins, ends: integers [T], here and below; query i reads the keys begins[i] ≤ j < ends[i] of its sentence, counted
    from 0, and no others, whose scores, weights and gradients are zeros and cost nothing else. All are read without.
    """
    layout = _layout(query_offsets, key_offsets, begins, ends)
    return _like(_core.ragged_dots(_tensor(query), _tensor(key), *layout), query, key)


def ragged_additive(
    query: Array,
    key: Array,
    v: Array,
    query_offsets: Ids,
    key_offsets: Ids,
    coverage: Array | None = None,
    coverage_weight: Array | None = None,
    begins: Ids | None = None,
    ends: Ids | None = None,
) -> Any:
    """v · tanh(query_i + key_j) (Bahdanau et al., 2015, section A.1.2) → flat scores, without storing [N, M, D].

    query [T, D], key [S, D], v [D]. With coverage, flat as the scores, and coverage_weight [D], the argument of tanh
    also has coverage(i, j) · coverage_weight (Tu et al., 2016). begins, ends: as for `ragged_dots`.
    """
    scores = _core.ragged_additive(
        _tensor(query), _tensor(key), _tensor(v), _optional(coverage), _optional(coverage_weight),
        *_layout(query_offsets, key_offsets, begins, ends),
    )  # fmt: skip
    return _like(scores, query, key, v, coverage, coverage_weight)


def ragged_softmax(
    scores: Array,
    query_offsets: Ids,
    key_offsets: Ids,
    begins: Ids | None = None,
    ends: Ids | None = None,
) -> Any:
    """Softmax of each row of flat scores, over the keys begins[i] ≤ j < ends[i] where these are given (`ragged_dots`).

    A query that reads no key gives zeros.
    """
    layout = _layout(query_offsets, key_offsets, begins, ends)
    return _like(_core.ragged_softmax(_tensor(scores), *layout), scores)


def ragged_sums(
    weights: Array,
    value: Array,
    query_offsets: Ids,
    key_offsets: Ids,
    begins: Ids | None = None,
    ends: Ids | None = None,
) -> Any:
    """Σ_j weights(i, j) · value_j for each query: flat weights, value [S, D] → [T, D]. begins, ends: `ragged_dots`."""
    layout = _layout(query_offsets, key_offsets, begins, ends)
    return _like(_core.ragged_sums(_tensor(weights), _tensor(value), *layout), weights, value)


def ragged_key_sums(weights: Array, query_offsets: Ids, key_offsets: Ids) -> Any:
    """Σ_i weights(i, j) for each key: flat weights → [S]."""
    return _like(_core.ragged_key_sums(_tensor(weights), *_offsets(query_offsets, key_offsets)), weights)


def ragged_gaussian(
    weights: Array,
    centres: Array,
    sigma: float,
    query_offsets: Ids,
    key_offsets: Ids,
    begins: Ids | None = None,
    ends: Ids | None = None,
) -> Any:
    """weights(i, j) · exp(-(j - centres_i)² / (2 sigma²)) (Luong et al., 2015, equation 10): centres [T].

    j counts the keys of the sentence from 0. begins, ends: `ragged_dots`.
    """
    layout = _layout(query_offsets, key_offsets, begins, ends)
    return _like(_core.ragged_gaussian(_tensor(weights), _tensor(centres), sigma, *layout), weights, centres)


def ragged_chain_marginals(scores: Array, transitions: Array, query_offsets: Ids, key_offsets: Ids) -> Any:
    """p(z_j = 1) in a chain of binary z over the keys of each query (structured attention: Kim et al., 2017).

    A row of flat scores and transitions [2, 2] give the potential exp(Σ_j score_j z_j + Σ_j transitions[z_j, z_j+1]).
    The marginals of a row lie between 0 and 1 and need not sum to one.
    """
    offsets = _offsets(query_offsets, key_offsets)
    return _like(_core.ragged_chain_marginals(_tensor(scores), _tensor(transitions), *offsets), scores, transitions)


def ragged_pick(
    weights: Array, query_offsets: Ids, key_offsets: Ids, sample: bool = False, *, scores: bool = False
) -> Any:
    """One-hot rows, flat as the weights: the key of the largest weight, or one drawn in proportion to the weights.

    Samples depend on `attnkit.manual_seed` and the number of the row. The gradient of the result goes to the weights as
    it is (straight-through: Bengio et al., 2013); detach the result where none should. scores: the numbers are scores,
    of any sign, and the largest is taken, as it would be behind a softmax. A row without weight stays zero.
    """
    return _like(_core.ragged_pick(_tensor(weights), sample, scores, *_offsets(query_offsets, key_offsets)), weights)


def unit_rows(x: Array, eps: float = 1e-6) -> Any:
    """x / max(|x|, eps) along the last axis, so that dot products become cosines."""
    return _like(_core.unit_rows(_tensor(x), eps), x)


def split(x: Array, sizes: Sequence[int]) -> list[Any]:
    """The rows of x as parts of the given sizes, which share its memory: the steps of a sequence, say."""
    return [_like(part, x) for part in _core.split(_tensor(x), sizes)]


def write_rows(buffer: Tensor, rows: Ids, x: Array) -> Tensor:
    """`buffer` with x in the given rows (each once), written in place.

    Every tensor over this memory sees the write, so write only rows that no result so far depends on: a memory that
    grows step by step, read through a window of `ragged_softmax` that ends before the rows not written yet.
    """
    return _core.write_rows(buffer, Indices(rows, "rows"), _tensor(x))


# --- images: [B, H, W, C], so that a pixel is a row


def _pair(value: SupportsIndex | Sequence[SupportsIndex], what: str) -> tuple[int, int]:
    """(rows, columns) from one number for both, or two."""
    try:
        rows, columns = (operator.index(number) for number in np.broadcast_to(np.asarray(value), 2))
        return rows, columns
    except (TypeError, ValueError):
        raise ValueError(f"[{what}] expected one whole number or two, got {value}") from None


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    groups: int = 1,
    activation: str | None = None,
) -> Any:
    """activation(x ∗ weight + bias): x [B, H, W, C], weight [O, KH, KW, C / groups], bias [O] → [B, H', W', O].

    H' = (H + 2 · padding - KH) // stride + 1, with zeros behind the edges. `groups` cuts the channels: each part of the
    outputs sees its part of the inputs; groups = C = O is a depthwise convolution, which is always computed in float32.
    activation: as in `linear`.
    """
    result = _core.conv2d(
        _tensor(x), _tensor(weight), _optional(bias), _pair(stride, "conv2d"), _pair(padding, "conv2d"), groups,
        activation,
    )  # fmt: skip
    return _like(result, x, weight, bias)


def max_pool2d(
    x: Array,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> Any:
    """The largest number of each window and channel: x [B, H, W, C] → [B, H', W', C]; stride None is kernel_size.

    Nothing is seen behind the edges; `padding` is at most half the kernel. The gradient goes to the first of equals.
    """
    kernel = _pair(kernel_size, "max_pool2d")
    steps = kernel if stride is None else _pair(stride, "max_pool2d")
    return _like(_core.max_pool2d(_tensor(x), kernel, steps, _pair(padding, "max_pool2d")), x)


def avg_pool2d(
    x: Array,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
) -> Any:
    """The mean of each window and channel, the zeros of `padding` included: x [B, H, W, C] → [B, H', W', C]."""
    kernel = _pair(kernel_size, "avg_pool2d")
    steps = kernel if stride is None else _pair(stride, "avg_pool2d")
    return _like(_core.avg_pool2d(_tensor(x), kernel, steps, _pair(padding, "avg_pool2d")), x)


def batch_norm(
    x: Array,
    weight: Array,
    bias: Array,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: str | None = None,
    residual: Array | None = None,
) -> Any:
    """activation(normed + residual) with normed = (x - mean) / √(var + eps) · weight + bias (Ioffe and Szegedy, 2015).

    x [..., C], residual like x; weight, bias and the running statistics [C]. With `training`, mean and var are those of
    each channel over the batch, and the running ones are written: they move towards them by `momentum` (towards the
    unbiased variance). Without, the running ones are used. activation: "relu" or None.
    """
    if activation not in (None, "relu"):
        raise ValueError(f'[batch_norm] expected activation "relu" or None, got "{activation}"')
    result = _core.batch_norm(
        _tensor(x), _optional(residual), _tensor(weight), _tensor(bias), running_mean, running_var, training, momentum,
        eps, activation == "relu",
    )  # fmt: skip
    return _like(result, x, weight, bias, residual)


def patches(x: Array, patch_size: int | tuple[int, int]) -> Any:
    """Non-overlapping patches as rows: x [B, H, W, C] → [B · H/PH · W/PW, PH · PW · C], image by image, row by row."""
    return _like(_core.patches(_tensor(x), _pair(patch_size, "patches")), x)


def scale_channels(x: Array, gate: Array) -> Any:
    """Every channel of an image times its number: x [B, ..., C], gate [B, C]."""
    return _like(_core.scale_channels(_tensor(x), _tensor(gate)), x, gate)


def add_scaled_sequences(residual: Array, x: Array, offsets: Ids, scale: ArrayLike) -> Any:
    """residual + x · scale[b] on the rows of sequence b: x and residual [T, D], offsets [B + 1], scale [B]."""
    factors = float_array(scale).tolist()
    result = _core.add_scaled_sequences(_tensor(residual), _tensor(x), Indices(offsets, "offsets"), factors)
    return _like(result, residual, x)
