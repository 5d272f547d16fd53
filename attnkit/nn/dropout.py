"""Dropout."""

from __future__ import annotations

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn.module import Module


class Dropout(Module):
    """In training, sets each number to zero with probability `p` and scales the rest by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"[dropout] expected p in [0, 1), got {p}")
        self.p = p

    @property
    def rate(self) -> float:
        """p in training, else 0."""
        return self.p if self.training else 0.0

    def forward(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.rate) if self.rate else x

    def extra_repr(self) -> str:
        return f"p={self.p}"
