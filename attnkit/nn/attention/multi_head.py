"""Multi-head attention over packed sentences (Vaswani et al., 2017, section 3.2): to oneself, and to a memory.

Queries, keys and values begin as parts of one matrix [3 · heads · head_dim, d_model], as in PyTorch and fairseq:
smaller by √2 than as matrices of their own. With layer norm after the residual ("post") models learn far faster from
there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from attnkit import ops
from attnkit._core import DecoderState, Tensor
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module


class MultiHead(Module):
    """What both have: heads, dropout of the weights, and a projection `output` of what the heads found.

    A head is `head_dim` wide, d_model / heads where that is not given; `width` is that of all heads together.
    """

    returns_weights = True
    output: Linear

    def __init__(self, d_model: int, heads: int, dropout: float, head_dim: int | None) -> None:
        super().__init__()
        if head_dim is None and d_model % heads:
            raise ValueError(f"[attention] expected d_model to be a multiple of heads, got {d_model} and {heads}")
        if head_dim is not None and head_dim < 1:
            raise ValueError(f"[attention] expected a head_dim of at least 1, got {head_dim}")
        self.heads = heads
        self.dropout = dropout
        self.head_dim = d_model // heads if head_dim is None else head_dim
        self.width = heads * self.head_dim

    @property
    def _rate(self) -> float:
        return self.dropout if self.training else 0.0

    def _project(self, attended: Tensor | tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """What `ops.packed_attention` gave, behind the last projection."""
        return (self.output(attended[0]), attended[1]) if isinstance(attended, tuple) else self.output(attended)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, head_dim={self.head_dim}, dropout={self.dropout}"


class SelfAttention(MultiHead):
    """Attention of a sequence to itself: query, key and value come from one matrix [3 · heads · head_dim, d_model]."""

    def __init__(
        self, d_model: int, heads: int, dropout: float = 0.0, bias: bool = True, head_dim: int | None = None
    ) -> None:
        super().__init__(d_model, heads, dropout, head_dim)
        self.projection = Linear(d_model, 3 * self.width, bias, blocks=3)
        self.output = Linear(self.width, d_model, bias)

    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        *,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        position_bias: Tensor | None = None,
        return_weights: Literal[False] = False,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        *,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        position_bias: Tensor | None = None,
        return_weights: Literal[True],
    ) -> tuple[Tensor, Tensor]: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        *,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        position_bias: Tensor | None = None,
        return_weights: bool,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        *,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        position_bias: Tensor | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """x [T, d_model] → [T, d_model].

        position_bias: [heads, 2·reach + 1], added to the scores by distance of key and query (see PositionBias). With
        return_weights also the flat weights of ops.packed_attention.
        """
        attended = ops.packed_attention(
            self.projection(x), None, None, offsets, heads=self.heads, causal=causal, window=window, dropout=self._rate,
            position_bias=position_bias, return_weights=return_weights,
        )  # fmt: skip
        return self._project(attended)

    if TYPE_CHECKING:
        __call__ = forward

    def step(self, x: Tensor, state: DecoderState, layer: int, position_bias: Tensor | None = None) -> Tensor:
        """One new token a row, which attends to its history: x [rows, d_model] → [rows, d_model]."""
        return self.output(ops.cached_attention(self.projection(x), state, layer, self.heads, position_bias))


class CrossAttention(MultiHead):
    """Attention of one sequence to another, the memory: queries from the one, keys and values from the other.

    The memory is `memory_width` wide, d_model where that is not given.
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        head_dim: int | None = None,
        memory_width: int | None = None,
    ) -> None:
        super().__init__(d_model, heads, dropout, head_dim)
        memory_width = d_model if memory_width is None else memory_width
        if memory_width < 1:
            raise ValueError(f"[attention] expected a memory_width of at least 1, got {memory_width}")
        self.query = Linear(d_model, self.width, bias, fan_out=3 * self.width)
        self.key_value = Linear(memory_width, 2 * self.width, bias, blocks=2, fan_out=3 * self.width)
        self.output = Linear(self.width, d_model, bias)

    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        *,
        position_bias: Tensor | None = None,
        return_weights: Literal[False] = False,
        head: int | None = None,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        *,
        position_bias: Tensor | None = None,
        return_weights: Literal[True],
        head: int | None = None,
    ) -> tuple[Tensor, Tensor]: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        *,
        position_bias: Tensor | None = None,
        return_weights: bool,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor,
        memory_offsets: np.ndarray,
        *,
        position_bias: Tensor | None = None,
        return_weights: bool = False,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """x [T, d_model], memory [S, memory_width] → [T, d_model].

        position_bias as in SelfAttention. With return_weights also the flat weights of ops.packed_attention; with
        `head` those of that head alone, for each sentence [n, m], which can be differentiated.
        """
        attended = ops.packed_attention(
            self.query(x), self.key_value(memory), None, offsets, memory_offsets, heads=self.heads, dropout=self._rate,
            position_bias=position_bias, return_weights=return_weights and head is None,
        )  # fmt: skip
        result = self._project(attended)
        if not return_weights or isinstance(result, tuple) or head is None:
            return result
        return result, self._head_weights(x, offsets, memory, memory_offsets, head)

    if TYPE_CHECKING:
        __call__ = forward

    def _head_weights(
        self, x: Tensor, offsets: np.ndarray, memory: Tensor, memory_offsets: np.ndarray, head: int
    ) -> Tensor:
        """What the attention gives as weights of one head, from ops that have a gradient: the attention itself never
        stores its scores. Relative positions are left out, of which a cross-attention has none."""
        rows = slice(head * self.head_dim, (head + 1) * self.head_dim)
        query, key = (
            ops.linear(read, layer.weight[rows], None if layer.bias is None else layer.bias[rows])
            for read, layer in ((x, self.query), (memory, self.key_value))
        )
        scores = ops.ragged_dots(query * self.head_dim**-0.5, key, offsets, memory_offsets)
        return ops.ragged_softmax(scores, offsets, memory_offsets)

    @overload
    def step(
        self,
        x: Tensor,
        state: DecoderState,
        layer: int,
        return_weights: Literal[False] = False,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor: ...
    @overload
    def step(
        self,
        x: Tensor,
        state: DecoderState,
        layer: int,
        return_weights: bool,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def step(
        self,
        x: Tensor,
        state: DecoderState,
        layer: int,
        return_weights: bool = False,
        position_bias: Tensor | None = None,
        head: int | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """One new token a row, which attends to its source: x [rows, d_model] → [rows, d_model].

        With return_weights also the weights [rows, longest source], the mean over heads, or those of `head`.
        """
        result, weights = ops.memory_attention(
            self.query(x), state, layer, self.heads, return_weights, position_bias, head
        )
        return self.output(result) if weights is None else (self.output(result), weights)


def MultiHeadAttention(
    d_model: int,
    heads: int,
    dropout: float = 0.0,
    bias: bool = True,
    cross: bool = False,
    head_dim: int | None = None,
) -> SelfAttention | CrossAttention:
    """SelfAttention, or with `cross` CrossAttention: each takes the arguments that it heeds, and no others."""
    kind = CrossAttention if cross else SelfAttention
    return kind(d_model, heads, dropout, bias, head_dim)
