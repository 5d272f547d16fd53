"""Layer norm and RMSNorm, alone and fused with what comes before them; batch norm with what comes behind."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import tensor
from attnkit.nn import init
from attnkit.nn.module import Module


class LayerNorm(Module):
    """Normalises each row to mean 0 and variance 1, then scales and shifts it (Ba et al., 2016): x [..., size]."""

    kind = "layer"

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


class RMSNorm(Module):
    """Divides each row by its root mean square, then scales it (Zhang and Sennrich, 2019): x [..., size]."""

    kind = "rms"
    bias = None

    def __init__(self, size: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = init.constant((size,), 1.0)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return ops.rms_norm(x, self.weight, self.eps)

    def add(self, residual: Tensor, x: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """(sum, normed): residual + dropout(x), and its normalisation, in one pass."""
        return ops.add_dropout_rms_norm(residual, x, self.weight, dropout, self.eps)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"


Norm: TypeAlias = LayerNorm | RMSNorm


def make_norm(kind: str, size: int, eps: float = 1e-5) -> Norm:
    """kind: "layer" or "rms"."""
    for norm in (LayerNorm, RMSNorm):
        if kind == norm.kind:
            return norm(size, eps)
    raise ValueError(f'[transformer] expected norm_kind "layer" or "rms", got "{kind}"')


class BatchNorm2d(Module):
    """Normalises each channel over the batch and all pixels (Ioffe and Szegedy, 2015): x [B, H, W, C], or [..., C].

    activation(normed + residual), where given: what follows the norm in a residual network, in the same pass. In
    training by the statistics of the batch, towards which the running ones move by `momentum`; else by these.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, activation: str | None = None
    ) -> None:
        super().__init__()
        self.weight = init.constant((num_features,), 1.0)
        self.bias = init.constant((num_features,), 0.0)
        self.register_buffer("running_mean", tensor(np.zeros(num_features, dtype=np.float32)))
        self.register_buffer("running_var", tensor(np.ones(num_features, dtype=np.float32)))
        self.eps, self.momentum, self.activation = eps, momentum, activation

    running_mean: Tensor
    running_var: Tensor

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return ops.batch_norm(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.training, self.momentum, self.eps,
            self.activation, residual,
        )  # fmt: skip

    def extra_repr(self) -> str:
        size = self.weight.shape[0]
        return f"{size}, eps={self.eps}, momentum={self.momentum}, activation={self.activation}"
