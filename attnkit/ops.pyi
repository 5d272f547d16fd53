"""The types of `attnkit.ops`, which has the explanations: arrays in, an array out; with a Tensor among them, a Tensor.

Each op has two faces. Where several inputs may be Tensors, the face of arrays alone comes first and the other takes the
rest. It takes a `Tensor | NDArray` as well, whose result then counts as a Tensor: name the kind where it matters.
"""

# mypy: disable-error-code="overload-overlap"

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from attnkit._core import DecoderState, Indices, Tensor

_Floats: TypeAlias = npt.NDArray[np.float32]

class _Rows(Protocol):
    """Lists of numbers, lists of lists and so on. Text is none: what it is asked to contain must be text."""

    def __len__(self) -> int: ...
    def __contains__(self, value: object, /) -> bool: ...
    def __getitem__(self, index: int, /) -> _Array: ...

# What NumPy makes a float32 array of. Not `npt.ArrayLike`: text is one, and so is a Tensor, since it has `__array__`.
_Array: TypeAlias = npt.NDArray[Any] | np.number[Any] | float | _Rows
_Input: TypeAlias = Tensor | _Array

# Ids, labels and offsets.
_Ids: TypeAlias = Indices | npt.NDArray[np.integer[Any]] | Sequence[int] | Sequence[Sequence[int]]
_Pair: TypeAlias = int | tuple[int, int]
_Reduction: TypeAlias = Literal["mean", "sum", "none"]

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

@overload
def softmax(x: Tensor, axis: int = -1) -> Tensor: ...
@overload
def softmax(x: _Array, axis: int = -1) -> _Floats: ...
@overload
def log_softmax(x: Tensor, axis: int = -1) -> Tensor: ...
@overload
def log_softmax(x: _Array, axis: int = -1) -> _Floats: ...
@overload
def relu(x: Tensor) -> Tensor: ...
@overload
def relu(x: _Array) -> _Floats: ...
@overload
def gelu(x: Tensor) -> Tensor: ...
@overload
def gelu(x: _Array) -> _Floats: ...
@overload
def gelu_tanh(x: Tensor) -> Tensor: ...
@overload
def gelu_tanh(x: _Array) -> _Floats: ...
@overload
def quick_gelu(x: Tensor) -> Tensor: ...
@overload
def quick_gelu(x: _Array) -> _Floats: ...
@overload
def silu(x: Tensor) -> Tensor: ...
@overload
def silu(x: _Array) -> _Floats: ...
@overload
def tanh(x: Tensor) -> Tensor: ...
@overload
def tanh(x: _Array) -> _Floats: ...
@overload
def sigmoid(x: Tensor) -> Tensor: ...
@overload
def sigmoid(x: _Array) -> _Floats: ...
@overload
def layer_norm(x: _Array, weight: _Array | None = None, bias: _Array | None = None, eps: float = 1e-5) -> _Floats: ...
@overload
def layer_norm(x: _Input, weight: _Input | None = None, bias: _Input | None = None, eps: float = 1e-5) -> Tensor: ...
@overload
def add_dropout_layer_norm(
    residual: _Array | None,
    x: _Array,
    weight: _Array | None = None,
    bias: _Array | None = None,
    p: float = 0.0,
    eps: float = 1e-5,
) -> tuple[_Floats, _Floats]: ...
@overload
def add_dropout_layer_norm(
    residual: _Input | None,
    x: _Input,
    weight: _Input | None = None,
    bias: _Input | None = None,
    p: float = 0.0,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]: ...
@overload
def rms_norm(x: _Array, weight: _Array | None = None, eps: float = 1e-5) -> _Floats: ...
@overload
def rms_norm(x: _Input, weight: _Input | None = None, eps: float = 1e-5) -> Tensor: ...
@overload
def add_dropout_rms_norm(
    residual: _Array | None, x: _Array, weight: _Array | None = None, p: float = 0.0, eps: float = 1e-5
) -> tuple[_Floats, _Floats]: ...
@overload
def add_dropout_rms_norm(
    residual: _Input | None, x: _Input, weight: _Input | None = None, p: float = 0.0, eps: float = 1e-5
) -> tuple[Tensor, Tensor]: ...
@overload
def dropout(x: Tensor, p: float) -> Tensor: ...
@overload
def dropout(x: _Array, p: float) -> _Floats: ...
@overload
def add_dropout(residual: _Array, x: _Array, p: float) -> _Floats: ...
@overload
def add_dropout(residual: _Input, x: _Input, p: float) -> Tensor: ...
@overload
def matmul(a: _Array, b: _Array) -> _Floats: ...
@overload
def matmul(a: _Input, b: _Input) -> Tensor: ...
@overload
def linear(x: _Array, weight: _Array, bias: _Array | None = None, activation: str | None = None) -> _Floats: ...
@overload
def linear(x: _Input, weight: _Input, bias: _Input | None = None, activation: str | None = None) -> Tensor: ...
@overload
def embedding(
    ids: _Ids,
    weight: _Array,
    scale: float = 1.0,
    position_weight: _Array | None = None,
    position_ids: _Ids | None = None,
    dropout: float = 0.0,
) -> _Floats: ...
@overload
def embedding(
    ids: _Ids,
    weight: _Input,
    scale: float = 1.0,
    position_weight: _Input | None = None,
    position_ids: _Ids | None = None,
    dropout: float = 0.0,
) -> Tensor: ...
@overload
def concatenate(parts: Sequence[_Array], axis: int = 0) -> _Floats: ...
@overload
def concatenate(parts: Sequence[_Input], axis: int = 0) -> Tensor: ...
@overload
def gather_rows(x: Tensor, rows: _Ids) -> Tensor: ...
@overload
def gather_rows(x: _Array, rows: _Ids) -> _Floats: ...
@overload
def cross_entropy(
    logits: Tensor, labels: _Ids, label_smoothing: float = 0.0, ignore_index: int = -100, reduction: _Reduction = "mean"
) -> Tensor: ...
@overload
def cross_entropy(
    logits: _Array, labels: _Ids, label_smoothing: float = 0.0, ignore_index: int = -100, reduction: _Reduction = "mean"
) -> _Floats: ...
@overload
def linear_cross_entropy(
    hidden: _Array,
    weight: _Array,
    labels: _Ids,
    bias: _Array | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum"] = "mean",
) -> _Floats: ...
@overload
def linear_cross_entropy(
    hidden: _Input,
    weight: _Input,
    labels: _Ids,
    bias: _Input | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor: ...
@overload
def attention(
    q: _Array,
    k: _Array,
    v: _Array,
    mask: _Array | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    return_weights: Literal[False] = False,
) -> _Floats: ...
@overload
def attention(
    q: _Array,
    k: _Array,
    v: _Array,
    mask: _Array | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    *,
    return_weights: Literal[True],
) -> tuple[_Floats, _Floats]: ...
@overload
def attention(
    q: _Array,
    k: _Array,
    v: _Array,
    mask: _Array | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> _Floats | tuple[_Floats, _Floats]: ...
@overload
def attention(
    q: _Input,
    k: _Input,
    v: _Input,
    mask: _Input | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    return_weights: Literal[False] = False,
) -> Tensor: ...
@overload
def attention(
    q: _Input,
    k: _Input,
    v: _Input,
    mask: _Input | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    *,
    return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def attention(
    q: _Input,
    k: _Input,
    v: _Input,
    mask: _Input | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]: ...
@overload
def packed_attention(
    query: _Array,
    key: _Array | None,
    value: _Array | None,
    query_offsets: _Ids,
    key_offsets: _Ids | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    position_bias: _Array | None = None,
    return_weights: Literal[False] = False,
) -> _Floats: ...
@overload
def packed_attention(
    query: _Array,
    key: _Array | None,
    value: _Array | None,
    query_offsets: _Ids,
    key_offsets: _Ids | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    position_bias: _Array | None = None,
    return_weights: Literal[True],
) -> tuple[_Floats, _Floats]: ...
@overload
def packed_attention(
    query: _Array,
    key: _Array | None,
    value: _Array | None,
    query_offsets: _Ids,
    key_offsets: _Ids | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    position_bias: _Array | None = None,
    return_weights: bool = False,
) -> _Floats | tuple[_Floats, _Floats]: ...
@overload
def packed_attention(
    query: _Input,
    key: _Input | None,
    value: _Input | None,
    query_offsets: _Ids,
    key_offsets: _Ids | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    position_bias: _Input | None = None,
    return_weights: Literal[False] = False,
) -> Tensor: ...
@overload
def packed_attention(
    query: _Input,
    key: _Input | None,
    value: _Input | None,
    query_offsets: _Ids,
    key_offsets: _Ids | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    position_bias: _Input | None = None,
    return_weights: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def packed_attention(
    query: _Input,
    key: _Input | None,
    value: _Input | None,
    query_offsets: _Ids,
    key_offsets: _Ids | None = None,
    *,
    heads: int,
    kv_heads: int | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout: float = 0.0,
    position_bias: _Input | None = None,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]: ...
def cached_attention(
    projected: Tensor, state: DecoderState, layer: int, heads: int, position_bias: Tensor | None = None
) -> Tensor: ...
@overload
def memory_attention(
    query: Tensor,
    state: DecoderState,
    layer: int,
    heads: int,
    return_weights: Literal[False] = False,
    position_bias: Tensor | None = None,
    weights_head: int | None = None,
) -> tuple[Tensor, None]: ...
@overload
def memory_attention(
    query: Tensor,
    state: DecoderState,
    layer: int,
    heads: int,
    return_weights: Literal[True],
    position_bias: Tensor | None = None,
    weights_head: int | None = None,
) -> tuple[Tensor, Tensor]: ...
@overload
def memory_attention(
    query: Tensor,
    state: DecoderState,
    layer: int,
    heads: int,
    return_weights: bool = False,
    position_bias: Tensor | None = None,
    weights_head: int | None = None,
) -> tuple[Tensor, Tensor | None]: ...
@overload
def rnn(
    projected: _Array,
    offsets: _Ids,
    weight: _Array,
    bias: _Array | None = None,
    state: _Array | None = None,
    nonlinearity: str = "tanh",
    direction: str = "forward",
) -> tuple[_Floats, _Floats]: ...
@overload
def rnn(
    projected: _Input,
    offsets: _Ids,
    weight: _Input,
    bias: _Input | None = None,
    state: _Input | None = None,
    nonlinearity: str = "tanh",
    direction: str = "forward",
) -> tuple[Tensor, Tensor]: ...
@overload
def gru(
    projected: _Array,
    offsets: _Ids,
    weight: _Array,
    bias: _Array | None = None,
    state: _Array | None = None,
    direction: str = "forward",
) -> tuple[_Floats, _Floats]: ...
@overload
def gru(
    projected: _Input,
    offsets: _Ids,
    weight: _Input,
    bias: _Input | None = None,
    state: _Input | None = None,
    direction: str = "forward",
) -> tuple[Tensor, Tensor]: ...
@overload
def lstm(
    projected: _Array,
    offsets: _Ids,
    weight: _Array,
    bias: _Array | None = None,
    state: tuple[_Array, _Array] | None = None,
    direction: str = "forward",
) -> tuple[_Floats, tuple[_Floats, _Floats]]: ...
@overload
def lstm(
    projected: _Input,
    offsets: _Ids,
    weight: _Input,
    bias: _Input | None = None,
    state: tuple[_Input, _Input] | None = None,
    direction: str = "forward",
) -> tuple[Tensor, tuple[Tensor, Tensor]]: ...
@overload
def ssru(projected: _Array, offsets: _Ids, bias: _Array, state: _Array | None = None) -> tuple[_Floats, _Floats]: ...
@overload
def ssru(projected: _Input, offsets: _Ids, bias: _Input, state: _Input | None = None) -> tuple[Tensor, Tensor]: ...
def cached_ssru(projected: Tensor, bias: Tensor, state: DecoderState, layer: int) -> Tensor: ...
@overload
def rnn_cell(
    projected: _Array, state: _Array, weight: _Array, bias: _Array | None = None, nonlinearity: str = "tanh"
) -> _Floats: ...
@overload
def rnn_cell(
    projected: _Input, state: _Input, weight: _Input, bias: _Input | None = None, nonlinearity: str = "tanh"
) -> Tensor: ...
@overload
def gru_cell(projected: _Array, state: _Array, weight: _Array, bias: _Array | None = None) -> _Floats: ...
@overload
def gru_cell(projected: _Input, state: _Input, weight: _Input, bias: _Input | None = None) -> Tensor: ...
@overload
def lstm_cell(
    projected: _Array, state: tuple[_Array, _Array], weight: _Array, bias: _Array | None = None
) -> tuple[_Floats, _Floats]: ...
@overload
def lstm_cell(
    projected: _Input, state: tuple[_Input, _Input], weight: _Input, bias: _Input | None = None
) -> tuple[Tensor, Tensor]: ...
@overload
def ragged_dots(
    query: _Array,
    key: _Array,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> _Floats: ...
@overload
def ragged_dots(
    query: _Input,
    key: _Input,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> Tensor: ...
@overload
def ragged_additive(
    query: _Array,
    key: _Array,
    v: _Array,
    query_offsets: _Ids,
    key_offsets: _Ids,
    coverage: _Array | None = None,
    coverage_weight: _Array | None = None,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> _Floats: ...
@overload
def ragged_additive(
    query: _Input,
    key: _Input,
    v: _Input,
    query_offsets: _Ids,
    key_offsets: _Ids,
    coverage: _Input | None = None,
    coverage_weight: _Input | None = None,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> Tensor: ...
@overload
def ragged_softmax(
    scores: Tensor, query_offsets: _Ids, key_offsets: _Ids, begins: _Ids | None = None, ends: _Ids | None = None
) -> Tensor: ...
@overload
def ragged_softmax(
    scores: _Array, query_offsets: _Ids, key_offsets: _Ids, begins: _Ids | None = None, ends: _Ids | None = None
) -> _Floats: ...
@overload
def ragged_sums(
    weights: _Array,
    value: _Array,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> _Floats: ...
@overload
def ragged_sums(
    weights: _Input,
    value: _Input,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> Tensor: ...
@overload
def ragged_key_sums(weights: Tensor, query_offsets: _Ids, key_offsets: _Ids) -> Tensor: ...
@overload
def ragged_key_sums(weights: _Array, query_offsets: _Ids, key_offsets: _Ids) -> _Floats: ...
@overload
def ragged_gaussian(
    weights: _Array,
    centres: _Array,
    sigma: float,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> _Floats: ...
@overload
def ragged_gaussian(
    weights: _Input,
    centres: _Input,
    sigma: float,
    query_offsets: _Ids,
    key_offsets: _Ids,
    begins: _Ids | None = None,
    ends: _Ids | None = None,
) -> Tensor: ...
@overload
def ragged_chain_marginals(scores: _Array, transitions: _Array, query_offsets: _Ids, key_offsets: _Ids) -> _Floats: ...
@overload
def ragged_chain_marginals(scores: _Input, transitions: _Input, query_offsets: _Ids, key_offsets: _Ids) -> Tensor: ...
@overload
def ragged_pick(
    weights: Tensor, query_offsets: _Ids, key_offsets: _Ids, sample: bool = False, *, scores: bool = False
) -> Tensor: ...
@overload
def ragged_pick(
    weights: _Array, query_offsets: _Ids, key_offsets: _Ids, sample: bool = False, *, scores: bool = False
) -> _Floats: ...
@overload
def unit_rows(x: Tensor, eps: float = 1e-6) -> Tensor: ...
@overload
def unit_rows(x: _Array, eps: float = 1e-6) -> _Floats: ...
@overload
def split(x: Tensor, sizes: Sequence[int]) -> list[Tensor]: ...
@overload
def split(x: _Array, sizes: Sequence[int]) -> list[_Floats]: ...
def write_rows(buffer: Tensor, rows: _Ids, x: _Input) -> Tensor: ...
@overload
def conv2d(
    x: _Array,
    weight: _Array,
    bias: _Array | None = None,
    stride: _Pair = 1,
    padding: _Pair = 0,
    groups: int = 1,
    activation: str | None = None,
) -> _Floats: ...
@overload
def conv2d(
    x: _Input,
    weight: _Input,
    bias: _Input | None = None,
    stride: _Pair = 1,
    padding: _Pair = 0,
    groups: int = 1,
    activation: str | None = None,
) -> Tensor: ...
@overload
def max_pool2d(x: Tensor, kernel_size: _Pair, stride: _Pair | None = None, padding: _Pair = 0) -> Tensor: ...
@overload
def max_pool2d(x: _Array, kernel_size: _Pair, stride: _Pair | None = None, padding: _Pair = 0) -> _Floats: ...
@overload
def avg_pool2d(x: Tensor, kernel_size: _Pair, stride: _Pair | None = None, padding: _Pair = 0) -> Tensor: ...
@overload
def avg_pool2d(x: _Array, kernel_size: _Pair, stride: _Pair | None = None, padding: _Pair = 0) -> _Floats: ...
@overload
def batch_norm(
    x: _Array,
    weight: _Array,
    bias: _Array,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: str | None = None,
    residual: _Array | None = None,
) -> _Floats: ...
@overload
def batch_norm(
    x: _Input,
    weight: _Input,
    bias: _Input,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: str | None = None,
    residual: _Input | None = None,
) -> Tensor: ...
@overload
def patches(x: Tensor, patch_size: _Pair) -> Tensor: ...
@overload
def patches(x: _Array, patch_size: _Pair) -> _Floats: ...
@overload
def scale_channels(x: _Array, gate: _Array) -> _Floats: ...
@overload
def scale_channels(x: _Input, gate: _Input) -> Tensor: ...
@overload
def add_scaled_sequences(residual: _Array, x: _Array, offsets: _Ids, scale: _Array) -> _Floats: ...
@overload
def add_scaled_sequences(residual: _Input, x: _Input, offsets: _Ids, scale: _Array) -> Tensor: ...
