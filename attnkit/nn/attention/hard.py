"""Hard attention: one source position for each query, sampled in training (Xu et al., 2015, section 4.1)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import index_array, tensor
from attnkit.nn.attention.normalisers import Normaliser, Rows, Window


class Choice(NamedTuple):
    """What a sampled choice is trained by, for each query [T]: its log-probability, and the entropy of what it was
    drawn from."""

    log_probability: Tensor
    entropy: Tensor


def chosen(weights: Tensor, rows: Rows) -> Window:
    """The window of each query that holds its weights: of one-hot ones a single key, which alone is then read."""
    lengths = rows.source_lengths()
    starts = np.cumsum(lengths) - lengths
    places = np.flatnonzero(weights.numpy(writable=False))
    of_row = np.searchsorted(starts, places, side="right") - 1
    keys = places - starts[of_row]
    begins, ends = np.zeros(len(lengths), np.int32), np.zeros(len(lengths), np.int32)
    begins[of_row[::-1]], ends[of_row] = keys[::-1], keys + 1  # the first of a row, and its last
    return index_array(begins, "begins"), index_array(ends, "ends")


class HardNormaliser(Normaliser):
    """One-hot weights: a sample of the softmax in training, its largest number in evaluation.

    Nothing can be differentiated through a sample. `choose` also returns what REINFORCE needs (Williams, 1992); with
    `straight_through` the gradient of the one-hot weights is instead handed to the softmax as it is (Bengio et al.,
    2013).
    """

    name = "hard"

    def __init__(self, straight_through: bool = False) -> None:
        super().__init__()
        self.straight_through = straight_through

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        return self.choose(scores, rows)[0]

    def choose(self, scores: Tensor, rows: Rows, expected: bool = False) -> tuple[Tensor, Choice | None]:
        """(one-hot weights, the choice): no choice in evaluation or where the gradient goes straight through.

        `expected` weights are the mean of all samples instead, which is the softmax: soft attention."""
        offsets = rows.query_offsets, rows.key_offsets
        if expected:
            return ops.ragged_softmax(scores, *offsets), None
        if not self.training:
            return ops.ragged_pick(scores.detach(), *offsets, scores=True), None  # the largest weight has the largest
        soft = ops.ragged_softmax(scores, *offsets)
        picked = ops.ragged_pick(soft, *offsets, sample=True)
        if self.straight_through:
            return picked, None
        picked = picked.detach()
        return picked, self._choice(soft, picked, rows)

    def _choice(self, soft: Tensor, picked: Tensor, rows: Rows) -> Choice:
        offsets = rows.query_offsets, rows.key_offsets
        ones = tensor(np.ones((int(rows.key_offsets[-1]), 1), np.float32), device=soft.device)
        logs = (soft + 1e-20).log()  # a probability may be zero in float32
        log_probability = ops.ragged_sums(picked * logs, ones, *offsets).reshape(-1)
        entropy = ops.ragged_sums(-(soft * logs), ones, *offsets).reshape(-1)
        return Choice(log_probability, entropy)

    def extra_repr(self) -> str:
        return f"straight_through={self.straight_through}"
