"""Multi-head attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from attnkit import ops
from attnkit._core import DecoderState, Tensor
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module


class MultiHeadAttention(Module):
    """Multi-head attention over packed sentences (Vaswani et al., 2017, section 3.2).

    With `cross`, queries come from one sequence and keys and values from another; without, all from one, projected by
    a single matrix.

    Queries, keys and values begin as parts of one matrix [3 * d_model, d_model], as in PyTorch and fairseq: smaller by
    √2 than as matrices of their own. With layer norm after the residual ("post") models learn far faster from there.
    """

    def __init__(self, d_model: int, heads: int, dropout: float = 0.0, bias: bool = True, cross: bool = False) -> None:
        super().__init__()
        if d_model % heads:
            raise ValueError(f"[attention] expected d_model to be a multiple of heads, got {d_model} and {heads}")
        self.heads = heads
        self.dropout = dropout
        self.cross = cross
        if cross:
            self.query = Linear(d_model, d_model, bias, fan_out=3 * d_model)
            self.key_value = Linear(d_model, 2 * d_model, bias, blocks=2, fan_out=3 * d_model)
        else:
            self.projection = Linear(d_model, 3 * d_model, bias, blocks=3)
        self.output = Linear(d_model, d_model, bias)

    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor | None = None,
        memory_offsets: np.ndarray | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        return_weights: Literal[False] = False,
    ) -> Tensor: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor | None = None,
        memory_offsets: np.ndarray | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        *,
        return_weights: Literal[True],
    ) -> tuple[Tensor, Tensor]: ...
    @overload
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor | None = None,
        memory_offsets: np.ndarray | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def forward(
        self,
        x: Tensor,
        offsets: np.ndarray,
        memory: Tensor | None = None,
        memory_offsets: np.ndarray | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """x [T, d_model], memory [S, d_model] → [T, d_model], and the flat weights if asked for.

        The weights are those of ops.packed_attention.
        """
        if self.cross:
            if memory is None:
                raise ValueError("[attention] expected a memory to attend to, since the layer has cross=True")
            return self.attend(self.query(x), self.key_value(memory), offsets, memory_offsets, return_weights)
        result = ops.packed_attention(
            self.projection(x), None, None, offsets, heads=self.heads, causal=causal, window=window, dropout=self._rate,
            return_weights=return_weights,
        )  # fmt: skip
        return (self.output(result[0]), result[1]) if isinstance(result, tuple) else self.output(result)

    if TYPE_CHECKING:
        __call__ = forward

    @overload
    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        offsets: np.ndarray,
        key_offsets: np.ndarray | None,
        return_weights: Literal[False] = False,
    ) -> Tensor: ...
    @overload
    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        offsets: np.ndarray,
        key_offsets: np.ndarray | None,
        return_weights: Literal[True],
    ) -> tuple[Tensor, Tensor]: ...
    @overload
    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        offsets: np.ndarray,
        key_offsets: np.ndarray | None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def attend(
        self,
        query: Tensor,
        key_value: Tensor,
        offsets: np.ndarray,
        key_offsets: np.ndarray | None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Cross-attention given the projected query [T, d_model] and key and value [S, 2·d_model]."""
        result = ops.packed_attention(
            query,
            key_value,
            None,
            offsets,
            key_offsets,
            heads=self.heads,
            dropout=self._rate,
            return_weights=return_weights,
        )
        return (self.output(result[0]), result[1]) if isinstance(result, tuple) else self.output(result)

    @overload
    def step(self, x: Tensor, state: DecoderState, layer: int, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def step(
        self, x: Tensor, state: DecoderState, layer: int, return_weights: bool
    ) -> Tensor | tuple[Tensor, Tensor]: ...
    def step(
        self, x: Tensor, state: DecoderState, layer: int, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """One new token a row, x [rows, d_model] → [rows, d_model]: to its history, or with `cross` to the source.

        With `cross` and return_weights also the weights [rows, longest source], the mean over heads.
        """
        if not self.cross:
            return self.output(ops.cached_attention(self.projection(x), state, layer, self.heads))
        result, weights = ops.memory_attention(self.query(x), state, layer, self.heads, return_weights)
        return self.output(result) if weights is None else (self.output(result), weights)

    @property
    def _rate(self) -> float:
        return self.dropout if self.training else 0.0

    def extra_repr(self) -> str:
        return f"heads={self.heads}, dropout={self.dropout}, cross={self.cross}"
