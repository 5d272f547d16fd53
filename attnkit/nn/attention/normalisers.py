"""Normalisers: from scores to weights. Each kind is a file of its own; this one has what they share, and softmax."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn.module import Module


class Rows(NamedTuple):
    """The queries that a normaliser works for.

    query [T, query_size]; query_offsets and key_offsets int32 [B + 1]; positions int32 [T], each query's place in its
    target, from 0.
    """

    query: Tensor
    query_offsets: np.ndarray
    key_offsets: np.ndarray
    positions: np.ndarray

    def source_lengths(self) -> np.ndarray:
        """How many keys each query has, [T]."""
        return np.repeat(np.diff(self.key_offsets), np.diff(self.query_offsets))


class Normaliser(Module):
    """What all normalisers share."""

    name = ""

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        """Flat scores → flat weights."""
        raise NotImplementedError(f"[normaliser] expected a forward method in {type(self).__name__}")


class SoftmaxNormaliser(Normaliser):
    """exp(s) / Σ exp(s) over all keys: global, soft attention."""

    name = "softmax"

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        return ops.ragged_softmax(scores, rows.query_offsets, rows.key_offsets)
