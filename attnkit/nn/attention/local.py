"""Local attention: a window around one source position for each target position (Luong et al., 2015, section 3.2)."""

from __future__ import annotations

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import index_array
from attnkit.nn import init
from attnkit.nn.attention.normalisers import Normaliser, Rows, Window
from attnkit.nn.linear import Linear


def _check_window(name: str, window: int) -> None:
    if window < 1:
        raise ValueError(f"[{name}] expected a window of at least 1, got {window}")


def _window(first: np.ndarray, last: np.ndarray) -> Window:
    """Both ends belong to it."""
    begins, ends = first.astype(np.int32), last.astype(np.int32) + 1
    return index_array(begins, "begins"), index_array(ends, "ends")


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

    def aim(self, rows: Rows) -> Rows:
        centres = np.minimum(rows.positions, rows.source_lengths() - 1)
        return rows._replace(window=_window(centres - self.window, centres + self.window))

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        aimed = rows if rows.window is not None else self.aim(rows)
        return ops.ragged_softmax(scores, *aimed.layout())

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

    def aim(self, rows: Rows) -> Rows:
        centres = self.centres(rows)
        p = centres.numpy(writable=False)
        return rows._replace(window=_window(np.ceil(p - self.window), np.floor(p + self.window)), centres=centres)

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        aimed = rows if rows.centres is not None else self.aim(rows)
        assert aimed.centres is not None
        weights = ops.ragged_softmax(scores, *aimed.layout())
        return ops.ragged_gaussian(weights, aimed.centres, self.window / 2, *aimed.layout())

    def extra_repr(self) -> str:
        return f"window={self.window}"
