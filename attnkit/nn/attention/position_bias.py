"""Relative positions as a bias of each head: a number for each distance of key and query, added to their score.

A table [heads, 2·reach + 1] says it all: column reach + d is for the keys d places behind the query, its first and last
column for whatever is further. No [heads, queries, keys] matrix is made of it.
"""

from __future__ import annotations

import math

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import tensor
from attnkit.nn import init
from attnkit.nn.module import Module


class PositionBias(Module):
    """What the self-attention of all layers of a stack adds to its scores; subclasses write `table`."""

    heads: int

    def table(self, length: int) -> Tensor:
        """[heads, 2·reach + 1], right for sequences of up to `length` tokens."""
        raise NotImplementedError(f"[position_bias] expected a table method in {type(self).__name__}")


class RelativePositionBias(PositionBias):
    """A trained number for each head and bucket of distances (T5: Raffel et al., 2020, section 2.1).

    Short distances have a bucket each, longer ones share them, ever wider until max_distance; the last is for all
    beyond. With `bidirectional` half of the buckets are for keys behind the query. Without, all are for keys before it,
    and those behind it count as at its place: for causal attention. weight [buckets, heads], as in transformers.
    """

    def __init__(
        self,
        heads: int,
        buckets: int = 32,
        max_distance: int = 128,
        bidirectional: bool = True,
        deviation: float = 0.02,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.max_distance = max_distance
        self.bidirectional = bidirectional
        distances = np.arange(-max_distance, max_distance + 1)
        self._buckets = distance_buckets(distances, buckets, max_distance, bidirectional)
        self.weight = init.normal((buckets, heads), deviation)

    def table(self, length: int) -> Tensor:
        """[heads, 2·max_distance + 1], whatever the length; differentiable."""
        return ops.gather_rows(self.weight, self._buckets).transpose(0, 1)

    def extra_repr(self) -> str:
        buckets, heads = self.weight.shape
        return f"{heads}, buckets={buckets}, max_distance={self.max_distance}, bidirectional={self.bidirectional}"


def distance_buckets(distance: np.ndarray, buckets: int, max_distance: int, bidirectional: bool) -> np.ndarray:
    """The bucket of each distance j - i, int32, as T5 counts them (in float32, like those who trained with them)."""
    own = buckets // 2 if bidirectional else buckets
    exact = own // 2
    if exact < 1 or max_distance <= exact:
        raise ValueError(
            f"[position_bias] expected at least {4 if bidirectional else 2} buckets and a max_distance above a "
            f"{'quarter' if bidirectional else 'half'} of them, got {buckets} and {max_distance}"
        )
    far = np.abs(distance) if bidirectional else np.maximum(-distance, 0)
    ratio = np.log(np.maximum(far, exact).astype(np.float32) / np.float32(exact))
    steps = ratio / np.float32(math.log(max_distance / exact)) * np.float32(own - exact)
    bucket = np.where(far < exact, far, np.minimum(exact + steps.astype(np.int64), own - 1))
    behind = np.where(bidirectional & (distance > 0), own, 0)
    result: np.ndarray = (bucket + behind).astype(np.int32)
    return result


class ALiBi(PositionBias):
    """A penalty that grows with the distance, with a slope for each head and nothing to learn (Press et al., 2022).

    Head h of n takes -2^(-8 h / n) for each place of distance, h from 1; where n is no power of two, the slopes of the
    power below and then every second of the power above. Keys behind the query count like those before it.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.slopes = alibi_slopes(heads)
        self._table = tensor(np.zeros((heads, 1), np.float32))

    def table(self, length: int) -> Tensor:
        """[heads, at least 2·length - 1]: it grows as longer sequences come."""
        if 2 * length - 1 > self._table.shape[1]:
            reach = max(length, self._table.shape[1], 16)
            distance = np.abs(np.arange(-reach, reach + 1))
            self._table = tensor((-self.slopes[:, None] * distance).astype(np.float32), device=self._table.device)
        return self._table

    def extra_repr(self) -> str:
        return f"{self.heads}"


def alibi_slopes(heads: int) -> np.ndarray:
    """[heads], float64."""
    if heads < 1:
        raise ValueError(f"[position_bias] expected at least one head, got {heads}")
    power = 1 << (heads.bit_length() - 1)
    slopes = 2.0 ** (-8.0 * np.arange(1, power + 1) / power)
    between = 2.0 ** (-4.0 * np.arange(1, 2 * (heads - power), 2) / power)
    return np.concatenate([slopes, between])
