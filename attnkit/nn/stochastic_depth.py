"""Stochastic depth."""

from __future__ import annotations

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.module import Module


class StochasticDepth(Module):
    """In training, leaves out a residual branch with probability `p`, for each sequence (Huang et al., 2016).

    residual + x · keep / (1 - p), with keep 0 or 1 for each sequence, or image; without training residual + x.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"[stochastic_depth] expected p in [0, 1), got {p}")
        self.p = p

    @property
    def active(self) -> bool:
        return self.training and self.p > 0.0

    def forward(self, residual: Tensor, x: Tensor, offsets: np.ndarray) -> Tensor:
        """residual and x [T, D], offsets [B + 1] → [T, D]."""
        if not self.active:
            return residual + x
        kept = init.generator().random(len(offsets) - 1) >= self.p
        return ops.add_scaled_sequences(residual, x, offsets, kept / (1.0 - self.p))

    def extra_repr(self) -> str:
        return f"p={self.p}"
