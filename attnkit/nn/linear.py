"""Linear."""

from __future__ import annotations

from collections.abc import Iterator

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.module import Module


class Linear(Module):
    """y = activation(x · weightᵀ + bias): x [..., in_features] → [..., out_features].

    `blocks` says how many matrices lie on top of each other in the weight, for Muon; `fan_out`, how many outputs its
    first values are drawn for, where they are part of a larger matrix. weight: that of another module, which then is
    shared.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: str | None = None,
        blocks: int = 1,
        fan_out: int | None = None,
        weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.weight = init.xavier_uniform((out_features, in_features), fan_out) if weight is None else weight
        self.bias = init.constant((out_features,), 0.0) if bias else None
        self.activation, self.blocks = activation, blocks

    def forward(self, x: Tensor) -> Tensor:
        return ops.linear(x, self.weight, self.bias, self.activation)

    def matrices(self) -> Iterator[Tensor]:
        yield self.weight

    def extra_repr(self) -> str:
        out_features, in_features = self.weight.shape
        return f"{in_features}, {out_features}, bias={self.bias is not None}, activation={self.activation}"
