"""A score, a normaliser and a differentiable function of one's own, for a recurrent translator.

ATTNKIT_IMPORT=own_attention attnkit train en-it-recurrent --out runs/own \
    --set model.score_class=own_attention:TanhScore --set model.normaliser_class=own_attention:Sparsemax

in the folder of this file. The name of the class is kept with the model: whoever loads it imports this module first, or
names it the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import attnkit
from attnkit import nn, ops


class TanhScore(nn.Score):
    """Σ tanh(W h + U s): the additive score without its last vector, as some lectures write it."""

    def __init__(self, query_size: int, memory_size: int, size: int = 64) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, size, bias=False)
        self.key = nn.Linear(memory_size, size, bias=False)
        self.ones = attnkit.tensor(np.ones(size, np.float32))  # no parameter: it needs no gradient

    def keys(self, memory: attnkit.Tensor, offsets: np.ndarray) -> attnkit.Tensor:
        """What of the source can be computed once, for all queries: [S, size]."""
        return self.key(memory)

    def forward(
        self,
        query: attnkit.Tensor,
        keys: attnkit.Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: attnkit.Tensor | None = None,
    ) -> attnkit.Tensor:
        """query [T, query_size], keys [S, size] → flat scores, for each sentence its [N, M] block."""
        return ops.ragged_additive(self.query(query), keys, self.ones, query_offsets, key_offsets)


class Sparsemax(nn.Normaliser):
    """The point of the simplex nearest to the scores (Martins and Astudillo, 2016): weights can be exactly zero."""

    def forward(self, scores: attnkit.Tensor, rows: Any) -> attnkit.Tensor:
        """Flat scores → flat weights."""
        return SparsemaxFunction.apply(scores, np.repeat(rows.source_lengths(), rows.source_lengths()))


class SparsemaxFunction(attnkit.Function):
    """The same as a function with a gradient: forward and backward in NumPy, row by row."""

    @staticmethod
    def forward(ctx: Any, scores: attnkit.Tensor, lengths: np.ndarray) -> attnkit.Tensor:
        flat = scores.numpy(writable=False)
        weights, begin = np.zeros_like(flat), 0
        while begin < len(flat):
            end = begin + int(lengths[begin])
            ordered = np.sort(flat[begin:end])[::-1]
            excess = np.cumsum(ordered) - 1.0
            kept = int(np.count_nonzero(ordered * np.arange(1, len(ordered) + 1) > excess))
            weights[begin:end] = np.maximum(flat[begin:end] - excess[kept - 1] / kept, 0.0)
            begin = end
        ctx.weights, ctx.lengths = weights, lengths
        return attnkit.tensor(weights)

    @staticmethod
    def backward(ctx: Any, dweights: attnkit.Tensor) -> attnkit.Tensor:
        """Within the support of a row the mean is taken off; elsewhere nothing changes."""
        flat, dscores, begin = dweights.numpy(writable=False), np.zeros_like(ctx.weights), 0
        while begin < len(flat):
            end = begin + int(ctx.lengths[begin])
            support = ctx.weights[begin:end] > 0
            part = flat[begin:end]
            dscores[begin:end] = np.where(support, part - part[support].mean(), 0.0)
            begin = end
        return attnkit.tensor(dscores)


def main() -> None:
    """The weights of both, beside those of a softmax."""
    attnkit.manual_seed(1)
    memory = attnkit.tensor(np.random.default_rng(1).standard_normal((6, 8)).astype(np.float32))
    query = attnkit.tensor(np.random.default_rng(2).standard_normal((1, 8)).astype(np.float32))
    score = TanhScore(8, 8, 16)
    for normaliser in (nn.SoftmaxNormaliser(), Sparsemax()):
        attention = nn.Attention(score, normaliser)
        weights = attention(query, attention.prepare(memory, np.array([0, 6])), np.array([0, 1])).weights
        print(type(normaliser).__name__.ljust(18), " ".join(f"{weight:.2f}" for weight in weights.numpy()))


if __name__ == "__main__":
    main()
