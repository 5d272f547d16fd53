"""Structured attention: the marginals of a linear chain over the source as weights (Kim et al., 2017, section 3.2)."""

from __future__ import annotations

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.attention.normalisers import Normaliser, Rows


class StructuredNormaliser(Normaliser):
    """p(z_j = 1) in a conditional random field over binary z: each key is in or out, and neighbours speak together.

    The potential of an assignment is exp(Σ_j s_j z_j + Σ_j A[z_j, z_j+1]) with learned A [2, 2]. A query may take any
    number of keys, so that the weights of a row lie between 0 and 1 and need not sum to one.
    """

    name = "structured"

    def __init__(self) -> None:
        super().__init__()
        self.transitions = init.constant((2, 2), 0.0)

    def forward(self, scores: Tensor, rows: Rows) -> Tensor:
        return ops.ragged_chain_marginals(scores, self.transitions, rows.query_offsets, rows.key_offsets)
