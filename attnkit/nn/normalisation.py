"""Layer normalisation, alone and fused with what comes before it."""

from __future__ import annotations

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.module import Module


class LayerNorm(Module):
    """Normalises each row to mean 0 and variance 1, then scales and shifts it (Ba et al., 2016): x [..., size]."""

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = init.constant((size,), 1.0)
        self.bias = init.constant((size,), 0.0)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return ops.layer_norm(x, self.weight, self.bias, self.eps)

    def add(self, residual: Tensor, x: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """(sum, normed): residual + dropout(x), and its normalisation, in one pass."""
        return ops.add_dropout_layer_norm(residual, x, self.weight, self.bias, dropout, self.eps)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"
