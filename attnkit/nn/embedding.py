"""Embedding: token ids to vectors, with their positions."""

from __future__ import annotations

import numpy as np

from attnkit import _core, ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.module import Module
from attnkit.nn.positions import LearnedPositions, SinusoidalPositions


class Embedding(Module):
    """weight[ids] · scale, plus positions where given, then dropout: ids int32 [T] → [T, width]."""

    def __init__(
        self,
        vocabulary: int,
        width: int,
        scale: float = 1.0,
        positions: SinusoidalPositions | LearnedPositions | None = None,
        dropout: float = 0.0,
        weight: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.weight = init.normal((vocabulary, width), width**-0.5) if weight is None else weight
        self.scale = scale
        self.positions = positions
        self.dropout = dropout

    def forward(self, ids: np.ndarray, position_ids: np.ndarray | None = None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        if self.positions is None:
            return ops.embedding(ids, self.weight, self.scale, dropout=dropout)
        if position_ids is None:
            raise ValueError("[embedding] expected position_ids, since this embedding has positions")
        longest = int(position_ids.max()) + 1 if len(position_ids) else 1
        return ops.embedding(ids, self.weight, self.scale, self.positions.table(longest), position_ids, dropout)

    def at(self, ids: np.ndarray, position: int) -> Tensor:
        """Of a step of decoding: ids int32 [rows], all at one position → [rows, width]."""
        if self.positions is None:
            return _core.embedding(ids, self.weight, self.scale, None, None, 0.0)
        places = np.full(len(ids), position, np.int32)
        return _core.embedding(ids, self.weight, self.scale, self.positions.table(position + 1), places, 0.0)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, scale={self.scale:g}"
