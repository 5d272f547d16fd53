"""The simpler simple recurrent unit, in place of a decoder's self-attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from attnkit import ops
from attnkit._core import DecoderState, Tensor
from attnkit.nn import init
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module

if TYPE_CHECKING:
    from attnkit.nn.gates import SSRUGates


class SSRU(Module):
    """The SSRU over packed sentences (Kim et al., 2019, section 3.3): x [T, width] → [T, width].

    f = σ(W_f x + b_f), c' = f · c + (1 - f) · W x, h = relu(c'). weight [2 · width, width] is W_f on top of W, bias
    [width] is b_f. A step costs the same at every position, and remembers one vector a hypothesis.
    """

    returns_weights = True

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"[ssru] expected a width of at least 1, got {width}")
        self.width = width
        self.projection = Linear(width, 2 * width, bias=False, blocks=2, fan_out=width)
        self.bias = init.constant((width,), 0.0)

    @property
    def weight(self) -> Tensor:
        return self.projection.weight

    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[True]) -> tuple[Tensor, SSRUGates]: ...
    def forward(
        self, x: Tensor, offsets: np.ndarray, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, SSRUGates]:
        """With return_weights also the gates."""
        projected = self.projection(x)
        output, _ = ops.ssru(projected, offsets, self.bias)
        if not return_weights:
            return output
        from attnkit.nn.gates import SSRUGates

        return output, SSRUGates((projected[:, : self.width] + self.bias).sigmoid())

    if TYPE_CHECKING:
        __call__ = forward

    def step(self, x: Tensor, state: DecoderState, layer: int) -> Tensor:
        """One new token a row: x [rows, width] → [rows, width]."""
        return ops.cached_ssru(self.projection(x), self.bias, state, layer)
