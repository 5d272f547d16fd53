"""Pooling by a probe: a trained query that looks at all states."""

from __future__ import annotations

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import index_array
from attnkit.nn import init
from attnkit.nn.attention.multi_head import CrossAttention
from attnkit.nn.module import Module
from attnkit.nn.normalisation import make_norm
from attnkit.nn.transformer import FeedForward


class ProbePooling(Module):
    """x = attention(probe, states), x + feed_forward(norm(x)): one vector of a sequence (Lee et al., 2019; Zhai et al.,
    2022)."""

    def __init__(
        self, d_model: int, heads: int, ffn: int, activation: str, norm_kind: str = "layer", norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.probe = init.normal((1, d_model), 0.02)
        self.attention = CrossAttention(d_model, heads)
        self.norm = make_norm(norm_kind, d_model, norm_eps)
        self.feed_forward = FeedForward(d_model, ffn, 0.0, activation)

    def forward(self, states: Tensor, offsets: np.ndarray) -> Tensor:
        """states [T, d_model], offsets int32 [B + 1] → [B, d_model]."""
        queries, own = self._queries(len(offsets) - 1)
        x = self.attention(queries, own, states, offsets)
        pooled: Tensor = x + self.feed_forward(self.norm(x))
        return pooled

    def weights(self, states: Tensor, offsets: np.ndarray) -> Tensor:
        """What the probe looks at, flat: for each sequence [heads, n]."""
        queries, own = self._queries(len(offsets) - 1)
        return self.attention(queries, own, states, offsets, return_weights=True)[1]

    def _queries(self, count: int) -> tuple[Tensor, np.ndarray]:
        queries: Tensor = ops.gather_rows(self.probe, np.zeros(count, np.int32))
        return queries, index_array(np.arange(count + 1, dtype=np.int32))
