"""Attention of a classifier to its own intermediate feature maps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module


class PooledFeatures(NamedTuple):
    """pooled [B, global_width], and weights [B, H, W], which sum to one for each image."""

    pooled: Tensor
    weights: Tensor


class FeatureAttention(Module):
    """Pools a feature map by how well each place fits the description of the whole image (Jetley et al., 2018).

    Local features l [B, H, W, local_width], projected to global_width where it differs, and a global feature g
    [B, global_width] give compatibilities c_i ("dot": ⟨l_i, g⟩, eq. 2; "parametrised": ⟨u, l_i + g⟩ with a learned u,
    eq. 1), weights a = softmax(c) over the places, and the pooled feature Σ a_i · l_i, [B, global_width].

    In a softmax over places ⟨u, g⟩ is the same for all of them and cancels: parametrised weights do not depend on g.
    """

    def __init__(self, local_width: int, global_width: int, scores: str = "dot") -> None:
        super().__init__()
        if scores not in ("dot", "parametrised"):
            raise ValueError(f'[feature_attention] expected scores "dot" or "parametrised", got "{scores}"')
        self.projection = Linear(local_width, global_width, bias=False) if local_width != global_width else None
        self.direction = init.normal((1, global_width), global_width**-0.5) if scores == "parametrised" else None

    def forward(self, local: Tensor, whole: Tensor) -> PooledFeatures:
        """local [B, H, W, local_width], whole [B, global_width] → pooled [B, global_width], weights [B, H, W]."""
        batch, height, width, channels = local.shape
        rows = local.reshape(-1, channels)
        rows = rows if self.projection is None else self.projection(rows)
        query = whole if self.direction is None else ops.gather_rows(self.direction, np.zeros(batch, dtype=np.int32))
        places = np.arange(batch + 1, dtype=np.int32)
        pooled, weights = ops.packed_attention(
            query, rows, rows, places, places * (height * width), heads=1, scale=1.0, return_weights=True
        )
        return PooledFeatures(pooled, weights.reshape(batch, height, width))

    def extra_repr(self) -> str:
        return f'scores="{"dot" if self.direction is None else "parametrised"}"'
