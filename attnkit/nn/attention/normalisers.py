"""Normalisers: from scores to weights. Each kind is a file of its own; this one has what they share, and softmax."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn.module import Module

Window: TypeAlias = tuple[np.ndarray, np.ndarray]


class Rows(NamedTuple):
    """The queries that a normaliser works for.

    query [T, query_size]; query_offsets and key_offsets int32 [B + 1]; positions int32 [T], each query's place in its
    target, from 0.
    window: (begins, ends) int32 [T] of the keys that each query reads, counted within its sentence; None for all.
    centres: [T], the middles of windows that are predicted.
    """

    query: Tensor
    query_offsets: np.ndarray
    key_offsets: np.ndarray
    positions: np.ndarray
    window: Window | None = None
    centres: Tensor | None = None

    def layout(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
        """What ragged ops take of it: query_offsets, key_offsets, begins, ends."""
        return self.query_offsets, self.key_offsets, *(self.window or (None, None))

    def source_lengths(self) -> np.ndarray:
        """How many keys each query has, [T]."""
        return np.repeat(np.diff(self.key_offsets), np.diff(self.query_offsets))


class Normaliser(Module):
    """What all normalisers share."""

    name = ""

    def aim(self, rows: Rows) -> Rows:
        """The rows with the window that they will read, where it is known before any score: others are not computed."""
        return rows

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        """Flat scores → flat weights."""
        raise NotImplementedError(f"[normaliser] expected a forward method in {type(self).__name__}")


class SoftmaxNormaliser(Normaliser):
    """exp(s) / Σ exp(s) over all keys: global, soft attention."""

    name = "softmax"

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        return ops.ragged_softmax(scores, *rows.layout())
