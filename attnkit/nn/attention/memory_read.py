"""Reading a memory of keys and values by content, as the Neural Turing Machine does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import index_array
from attnkit.nn import init
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module


class Recalled(NamedTuple):
    """result [T, value_size], and flat weights, which sum to one for each query."""

    result: Tensor
    weights: Tensor


class MemoryRead(Module):
    """Content-based addressing (Graves et al., 2014, section 3.3.1) of a key-value memory.

    A query h asks for the key k = W h with the sharpness β = softplus(w · h + b); the weights are the softmax of
    β cos(k, K_j), which sums to one, and the result is Σ_j weight_j V_j. With `slots`, the layer has a learned memory
    of so many keys and values, which every query reads.
    """

    def __init__(self, query_size: int, key_size: int, value_size: int | None = None, slots: int | None = None) -> None:
        super().__init__()
        self.key = Linear(query_size, key_size)
        self.sharpness = Linear(query_size, 1)
        if slots is not None:
            self.keys = init.normal((slots, key_size), 1.0)
            self.values = init.normal((slots, value_size or key_size), 1.0)

    def forward(
        self,
        query: Tensor,
        query_offsets: np.ndarray | None = None,
        keys: Tensor | None = None,
        values: Tensor | None = None,
        key_offsets: np.ndarray | None = None,
    ) -> Recalled:
        """query [T, query_size] → (result [T, value_size], flat weights).

        Given keys [S, key_size], values [S, value_size] and both offsets, each sentence has a memory of its own (values
        None: the keys themselves); given the query alone, all read the learned one, and the weights are [T · slots].
        """
        if keys is None:
            if not hasattr(self, "keys"):
                raise ValueError("[memory_read] expected keys to read, since the layer has no slots of its own")
            keys, values = self.keys, self.values
            query_offsets = index_array([0, query.shape[0]])
            key_offsets = index_array([0, keys.shape[0]])
        if query_offsets is None or key_offsets is None:
            raise ValueError("[memory_read] expected query_offsets and key_offsets with keys")
        scores = ops.ragged_dots(self._asked(query), ops.unit_rows(keys), query_offsets, key_offsets)
        weights = ops.ragged_softmax(scores, query_offsets, key_offsets)
        result = ops.ragged_sums(weights, keys if values is None else values, query_offsets, key_offsets)
        return Recalled(result, weights)

    def _asked(self, query: Tensor) -> Tensor:
        """β k / |k|, so that a product with a key of length one is β times their cosine."""
        return ops.unit_rows(self.key(query)) * _softplus(self.sharpness(query))


def _softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), without overflow: max(x, 0) + log(1 + e^-|x|)."""
    magnitude = x.relu() + (-x).relu()
    return x.relu() + ((-magnitude).exp() + 1.0).log()
