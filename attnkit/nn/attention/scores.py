"""Scores: how well a query and each key of its sentence go together.

A score has two parts: `keys` projects a memory once, and `forward` compares queries with the result. Queries h are
[T, query_size], a memory s is [S, memory_size]; scores are flat, the [N, M] block of each sentence after the other (see
`attnkit.ops.ragged_dots`).
"""

from __future__ import annotations

import math

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.attention.normalisers import Window
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module
from attnkit.nn.positions import packed_positions


class Score(Module):
    """What all scores share. `covers` says whether the score reads a coverage."""

    name = ""
    covers = False

    def keys(self, memory: Tensor, offsets: np.ndarray) -> Tensor:
        """The memory as `forward` reads it: [S, memory_size] → [S, K]."""
        return memory

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: Tensor | None = None,
        window: Window | None = None,
    ) -> Tensor:
        """query [T, query_size], keys [S, K] → flat scores.

        window: (begins, ends) of the keys that each query reads, where a normaliser knows them; a score may compute all
        others in vain, and need not take it.
        """
        raise NotImplementedError(f"[score] expected a forward method in {type(self).__name__}")


def _check_equal(name: str, query_size: int, memory_size: int) -> None:
    if query_size != memory_size:
        raise ValueError(
            f"[{name}] expected a query and a memory of one width, got {query_size} and {memory_size}; "
            'the score "general" compares different ones'
        )


class AdditiveScore(Score):
    """v · tanh(W h + U s + b) (Bahdanau et al., 2015, section A.1.2), all of width `size`.

    With `coverage`, tanh also reads c · w, where c is the sum of the weights that the key had in earlier steps (Tu et
    al., 2016): what was translated already can be left alone.
    """

    name = "additive"

    def __init__(self, query_size: int, memory_size: int, size: int, coverage: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.query = Linear(query_size, size, bias=False)
        self.key = Linear(memory_size, size, bias)
        self.v = init.uniform((size,), size**-0.5)
        self.coverage_weight = init.uniform((size,), size**-0.5) if coverage else None
        self.covers = coverage

    def keys(self, memory: Tensor, offsets: np.ndarray) -> Tensor:
        return self.key(memory)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: Tensor | None = None,
        window: Window | None = None,
    ) -> Tensor:
        if (coverage is None) == self.covers:
            raise ValueError(f"[{self.name}] expected a coverage {'' if self.covers else 'only '}with coverage=True")
        return ops.ragged_additive(
            self.query(query), keys, self.v, query_offsets, key_offsets, coverage, self.coverage_weight, *(window or ())
        )

    def extra_repr(self) -> str:
        return f"coverage={self.covers}"


class ConcatScore(AdditiveScore):
    """v · tanh(W [h; s]) (Luong et al., 2015, section 3.1): the additive score without a bias.

    A matrix times two vectors one above the other is the sum of its two halves times each.
    """

    name = "concat"

    def __init__(self, query_size: int, memory_size: int, size: int, coverage: bool = False) -> None:
        super().__init__(query_size, memory_size, size, coverage, bias=False)


class DotScore(Score):
    """h · s (Luong et al., 2015, section 3.1); both of one width."""

    name = "dot"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        _check_equal(self.name, query_size, memory_size)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: Tensor | None = None,
        window: Window | None = None,
    ) -> Tensor:
        return ops.ragged_dots(query, keys, query_offsets, key_offsets, *(window or ()))


class ScaledDotScore(DotScore):
    """h · s / √width (Vaswani et al., 2017, section 3.2.1); both of one width."""

    name = "scaled-dot"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.scale = 1.0 / math.sqrt(query_size)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: Tensor | None = None,
        window: Window | None = None,
    ) -> Tensor:
        return ops.ragged_dots(query * self.scale, keys, query_offsets, key_offsets, *(window or ()))


class GeneralScore(Score):
    """hᵀ W s (Luong et al., 2015, section 3.1)."""

    name = "general"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key = Linear(memory_size, query_size, bias=False)

    def keys(self, memory: Tensor, offsets: np.ndarray) -> Tensor:
        return self.key(memory)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: Tensor | None = None,
        window: Window | None = None,
    ) -> Tensor:
        return ops.ragged_dots(query, keys, query_offsets, key_offsets, *(window or ()))


class ScaledGeneralScore(GeneralScore):
    """hᵀ W s / √width: the general score, divided as the scaled dot product is (Vaswani et al., 2017, section 3.2.1).

    W stands between two vectors, so that a step of Adam on all of its numbers moves a score the further the wider they
    are: without the divisor the softmax of wide states is one-hot before it has learned where to look.
    """

    name = "scaled-general"

    def __init__(self, query_size: int, memory_size: int) -> None:
        super().__init__(query_size, memory_size)
        self.scale = 1.0 / math.sqrt(query_size)

    def keys(self, memory: Tensor, offsets: np.ndarray) -> Tensor:
        return self.key(memory) * self.scale


class LocationScore(Score):
    """Row j of W h for source position j (Luong et al., 2015, equation 8): what the source says there is not read.

    W has `max_length` rows; a longer sentence raises ValueError.
    """

    name = "location"

    def __init__(self, query_size: int, max_length: int) -> None:
        super().__init__()
        self.weight = init.xavier_uniform((max_length, query_size))

    def keys(self, memory: Tensor, offsets: np.ndarray) -> Tensor:
        longest = int(np.diff(offsets).max(initial=0))
        if longest > self.weight.shape[0]:
            raise ValueError(f"[location] expected at most {self.weight.shape[0]} tokens in a source, got {longest}")
        return ops.gather_rows(self.weight, packed_positions(offsets))

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: Tensor | None = None,
        window: Window | None = None,
    ) -> Tensor:
        return ops.ragged_dots(query, keys, query_offsets, key_offsets, *(window or ()))

    def extra_repr(self) -> str:
        return f"max_length={self.weight.shape[0]}"


class CosineScore(Score):
    """β · cos(h, s), the content-based addressing of Graves et al. (2014, equation 6); both of one width.

    The sharpness β > 0 is learned, and starts as `sharpness`: cosines lie between -1 and 1, too near to each other for
    a softmax to choose.
    """

    name = "cosine"

    def __init__(self, query_size: int, memory_size: int, sharpness: float = 10.0) -> None:
        super().__init__()
        _check_equal(self.name, query_size, memory_size)
        self.log_sharpness = init.constant((1,), math.log(sharpness))

    def keys(self, memory: Tensor, offsets: np.ndarray) -> Tensor:
        return ops.unit_rows(memory)

    def forward(
        self,
        query: Tensor,
        keys: Tensor,
        query_offsets: np.ndarray,
        key_offsets: np.ndarray,
        coverage: Tensor | None = None,
        window: Window | None = None,
    ) -> Tensor:
        cosines = ops.ragged_dots(ops.unit_rows(query), keys, query_offsets, key_offsets, *(window or ()))
        return cosines * self.log_sharpness.exp()
