"""Attention as score × normalisation × values."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import index_array
from attnkit.nn.attention.hard import Choice, HardNormaliser, chosen
from attnkit.nn.attention.normalisers import Normaliser, Rows
from attnkit.nn.attention.scores import Score
from attnkit.nn.module import Module
from attnkit.nn.positions import packed_positions


class Memory(NamedTuple):
    """What queries attend to: keys [S, K] as the score reads them, values [S, memory_size], offsets int32 [B + 1]."""

    keys: Tensor
    values: Tensor
    offsets: np.ndarray


class Attended(NamedTuple):
    """context [T, memory_size]; weights, flat; and the choice where a position was sampled to train by REINFORCE."""

    context: Tensor
    weights: Tensor
    choice: Choice | None = None


class Attention(Module):
    """Any score with any normaliser that makes sense for it; a pair that makes none raises ValueError.

        attention = nn.Attention(nn.AdditiveScore(256, 512, 256), nn.SoftmaxNormaliser())
        memory = attention.prepare(states, offsets)
        context, weights, _ = attention(query, memory, query_offsets)

    The queries of a sentence are its target positions in training, and its hypotheses in decoding, which share the
    memory.
    """

    def __init__(self, score: Score, normaliser: Normaliser) -> None:
        super().__init__()
        if score.name == "location" and normaliser.name in ("local-m", "local-p"):
            raise ValueError(
                f'[attention] expected a score that reads the source with "{normaliser.name}": it chooses a window by '
                'position, and "location" knows nothing but the position; use "location" with "softmax"'
            )
        self.score = score
        self.normaliser = normaliser

    def prepare(self, memory: Tensor, offsets: np.ndarray) -> Memory:
        """Projects a memory [S, memory_size] once, for all queries to come."""
        return Memory(self.score.keys(memory, offsets), memory, index_array(offsets, "offsets"))

    def forward(
        self,
        query: Tensor,
        memory: Memory,
        query_offsets: np.ndarray,
        positions: np.ndarray | None = None,
        coverage: Tensor | None = None,
        expected: bool = False,
    ) -> Attended:
        """query [T, query_size]; rows query_offsets[b] to query_offsets[b + 1] attend to sentence b.

        positions: int32 [T], the place of each query in its target; by default the queries of a sentence follow each
        other from 0. coverage: flat, the weights of earlier steps, for a score with coverage. expected: hard attention
        takes the mean of what it could sample; others have no samples, and nothing changes.
        """
        query_offsets = index_array(query_offsets, "offsets")
        if positions is None:
            positions = packed_positions(query_offsets)
        rows = self.normaliser.aim(Rows(query, query_offsets, memory.offsets, positions))
        scores = self._scores(query, memory, rows, coverage)
        choice = None
        if isinstance(self.normaliser, HardNormaliser):
            weights, choice = self.normaliser.choose(scores, rows, expected)
            if not (expected or weights.requires_grad):
                rows = rows._replace(window=chosen(weights, rows))
        else:
            weights = self.normaliser(scores, rows)
        return Attended(ops.ragged_sums(weights, memory.values, *rows.layout()), weights, choice)

    def _scores(self, query: Tensor, memory: Memory, rows: Rows, coverage: Tensor | None) -> Tensor:
        """Of the pairs that count; of all, where the score is of somebody who knows no windows."""
        arguments = query, memory.keys, rows.query_offsets, rows.key_offsets, coverage
        if rows.window is None or not _takes_window(type(self.score).forward):
            return self.score(*arguments)
        return self.score(*arguments, window=rows.window)


@functools.cache
def _takes_window(forward: Callable[..., Tensor]) -> bool:
    """Of a kind of score."""
    return "window" in inspect.signature(forward).parameters
