"""Embedding: token ids to vectors, with their positions, token types, a norm and a layer that widens them."""

from __future__ import annotations

import numpy as np

from attnkit import _core, ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module
from attnkit.nn.normalisation import Norm
from attnkit.nn.positions import LearnedPositions, SinusoidalPositions


class Embedding(Module):
    """weight[ids] · scale, plus positions where given, then dropout: ids int32 [T] → [T, width], or [T, projected].

    token_types: how many vectors there are of which each token gets one added, that of its segment (BERT: Devlin et
    al., 2019). norm: of the sum, before dropout (BERT, BART). projected: the width that a layer behind dropout gives
    the vectors (ALBERT: Lan et al., 2020; ELECTRA: Clark et al., 2020); None for no such layer.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        scale: float = 1.0,
        positions: SinusoidalPositions | LearnedPositions | None = None,
        dropout: float = 0.0,
        weight: Tensor | None = None,
        token_types: int = 0,
        norm: Norm | None = None,
        projected: int | None = None,
    ) -> None:
        super().__init__()
        self.weight = init.normal((vocabulary, width), width**-0.5) if weight is None else weight
        self.scale = scale
        self.positions = positions
        self.dropout = dropout
        self.token_type_weight = init.normal((token_types, width), 0.02) if token_types else None
        self.norm = norm
        self.projection = None if projected is None else Linear(width, projected)

    def forward(
        self, ids: np.ndarray, position_ids: np.ndarray | None = None, token_type_ids: np.ndarray | None = None
    ) -> Tensor:
        """token_type_ids int32 [T], all 0 where not given."""
        dropout = self.dropout if self.training else 0.0
        if self.norm is None and self.token_type_weight is None:
            return self._projected(self._look_up(ids, position_ids, dropout))
        x = self._finish(self._look_up(ids, position_ids, 0.0), token_type_ids)
        return self._projected(ops.dropout(x, dropout) if dropout else x)

    def _look_up(self, ids: np.ndarray, position_ids: np.ndarray | None, dropout: float) -> Tensor:
        if self.positions is None:
            return ops.embedding(ids, self.weight, self.scale, dropout=dropout)
        if position_ids is None:
            raise ValueError("[embedding] expected position_ids, since this embedding has positions")
        longest = int(position_ids.max()) + 1 if len(position_ids) else 1
        return ops.embedding(ids, self.weight, self.scale, self.positions.table(longest), position_ids, dropout)

    def _finish(self, x: Tensor, token_type_ids: np.ndarray | None) -> Tensor:
        """What stands behind the sum of words and positions."""
        if self.token_type_weight is None:
            return x if self.norm is None else self.norm(x)
        types = np.zeros(x.shape[0], np.int32) if token_type_ids is None else token_type_ids
        segments = ops.embedding(types, self.token_type_weight)
        return x + segments if self.norm is None else self.norm.add(x, segments, 0.0)[1]

    def _projected(self, x: Tensor) -> Tensor:
        return x if self.projection is None else self.projection(x)

    def at(self, ids: np.ndarray, position: int) -> Tensor:
        """Of a step of decoding: ids int32 [rows], all at one position → [rows, width]."""
        if self.positions is None:
            x = _core.embedding(ids, self.weight, self.scale, None, None, 0.0)
        else:
            places = np.full(len(ids), position, np.int32)
            x = _core.embedding(ids, self.weight, self.scale, self.positions.table(position + 1), places, 0.0)
        return self._projected(self._finish(x, None))

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}, scale={self.scale:g}"
