"""Local attention: a window around one source position for each target position (Luong et al., 2015, section 3.2)."""

from __future__ import annotations

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.attention.normalisers import Normaliser, Rows
from attnkit.nn.linear import Linear


def _check_window(name: str, window: int) -> None:
    if window < 1:
        raise ValueError(f"[{name}] expected a window of at least 1, got {window}")


class LocalMonotonicNormaliser(Normaliser):
    """local-m: the softmax over the keys t - D to t + D of target position t, with D = `window`.

    Source and target are taken to run side by side. Where the target is longer than the source, the window stays at the
    last source position instead of leaving the sentence.
    """

    name = "local-m"

    def __init__(self, window: int = 10) -> None:
        super().__init__()
        _check_window(self.name, window)
        self.window = window

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        centres = np.minimum(rows.positions, rows.source_lengths() - 1)
        begins, ends = centres - self.window, centres + self.window + 1
        return ops.ragged_softmax(scores, rows.query_offsets, rows.key_offsets, begins, ends)

    def extra_repr(self) -> str:
        return f"window={self.window}"


class LocalPredictiveNormaliser(Normaliser):
    """local-p: the window lies around a predicted position p = S · sigmoid(vᵀ tanh(W h)), S the source's length.

    The weights are the softmax over the keys p - D to p + D, times exp(-(j - p)² / (2 σ²)) with σ = D / 2, so that
    p is trained through the Gaussian (equations 9 and 10). As in the paper they are not normalised again, and sum to at
    most one.
    """

    name = "local-p"

    def __init__(self, query_size: int, window: int = 10) -> None:
        super().__init__()
        _check_window(self.name, window)
        self.window = window
        self.hidden = Linear(query_size, query_size, bias=False, activation="tanh")
        self.v = init.uniform((1, query_size), query_size**-0.5)

    def centres(self, rows: Rows) -> Tensor:
        """p for each query, [T], from 0 to the length of its source."""
        share = ops.linear(self.hidden(rows.query), self.v, activation="sigmoid").reshape(-1)
        return share * rows.source_lengths().astype(np.float32)

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        centres = self.centres(rows)
        p = centres.numpy(writable=False)
        begins = np.ceil(p - self.window).astype(np.int32)
        ends = np.floor(p + self.window).astype(np.int32) + 1
        weights = ops.ragged_softmax(scores, rows.query_offsets, rows.key_offsets, begins, ends)
        return ops.ragged_gaussian(weights, centres, self.window / 2, rows.query_offsets, rows.key_offsets)

    def extra_repr(self) -> str:
        return f"window={self.window}"
