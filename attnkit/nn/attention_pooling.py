"""Pooling: one vector for each packed sequence, a weighted sum of its rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import index_array, tensor
from attnkit.nn import init
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module, ModuleList


class AttentionPooling(Module):
    """The rows of a sequence by their importance (Yang et al., 2016, equations 5 to 7).

    u_t = tanh(W h_t + b), α = softmax over t of u_t · u, s = Σ_t α_t h_t, with a learnt context vector u.
    """

    returns_weights = True

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.projection = Linear(width, hidden, activation="tanh")
        self.context = init.uniform((1, hidden), hidden**-0.5)

    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[True]) -> tuple[Tensor, Tensor]: ...
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """x [T, width] → [B, width], and the weights α [T] if asked for. An empty sequence gives zeros."""
        scores = ops.linear(self.projection(x), self.context).reshape(x.shape[0])
        queries = _one_query_each(offsets)
        weights = ops.ragged_softmax(scores, queries, offsets)
        pooled = ops.ragged_sums(weights, x, queries, offsets)
        return (pooled, weights) if return_weights else pooled

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        return f"hidden={self.context.shape[1]}"


class _LengthPooling(Module):
    """A sum of the rows of a sequence whose weights its length alone decides."""

    returns_weights = True

    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[True]) -> tuple[Tensor, Tensor]: ...
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """x [T, width] → [B, width], and the weights [T] if asked for. An empty sequence gives zeros."""
        weights = tensor(self._weights(np.asarray(offsets)).astype(np.float32), device=x.device)
        pooled = ops.ragged_sums(weights, x, _one_query_each(offsets), offsets)
        return (pooled, weights) if return_weights else pooled

    def _weights(self, offsets: np.ndarray) -> np.ndarray:
        """The weight of each row [T]."""
        raise NotImplementedError(f"[pooling] expected a _weights method in {type(self).__name__}")

    if TYPE_CHECKING:
        __call__ = forward


class MeanPooling(_LengthPooling):
    """The mean of the rows of a sequence: the weights are 1/n."""

    def _weights(self, offsets: np.ndarray) -> np.ndarray:
        lengths = np.diff(offsets)
        return np.repeat(1.0 / np.maximum(lengths, 1), lengths)


class RootMeanPooling(_LengthPooling):
    """The sum of the n rows of a sequence over the root of n, so that long texts do not come out shorter than short
    ones (Cer et al., 2018; "mean_sqrt_len_tokens" of Sentence-BERT)."""

    def _weights(self, offsets: np.ndarray) -> np.ndarray:
        lengths = np.diff(offsets)
        return np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths)


class PositionPooling(_LengthPooling):
    """A mean in which row t of n, from 1, weighs t / (1 + … + n): where attention is causal, later rows have seen more
    (SGPT: Muennighoff, 2022; "weightedmean" of Sentence-BERT)."""

    def _weights(self, offsets: np.ndarray) -> np.ndarray:
        lengths = np.diff(offsets).astype(np.int64)
        places = np.arange(1, offsets[-1] + 1) - np.repeat(offsets[:-1], lengths)
        weights: np.ndarray = places / np.repeat(np.maximum(lengths * (lengths + 1) / 2, 1), lengths)
        return weights


class MaxPooling(Module):
    """The largest number of each column over the rows of a sequence."""

    def forward(self, x: Tensor, offsets: np.ndarray) -> Tensor:
        """x [T, width] → [B, width]. An empty sequence gives zeros."""
        width = x.shape[1]
        rows = []
        for begin, end in itertools.pairwise(np.asarray(offsets).tolist()):
            if begin == end:
                rows.append(tensor(np.zeros((1, width), np.float32), device=x.device))
            else:
                image = x[begin:end].reshape(1, end - begin, 1, width)
                rows.append(ops.max_pool2d(image, (end - begin, 1)).reshape(1, width))
        return ops.concatenate(rows)

    if TYPE_CHECKING:
        __call__ = forward


class JoinedPooling(Module):
    """Several poolings beside each other."""

    def __init__(self, poolings: Sequence[Module]) -> None:
        super().__init__()
        self.poolings: ModuleList[Any] = ModuleList(list(poolings))

    def forward(self, x: Tensor, offsets: np.ndarray) -> Tensor:
        """x [T, width] → [B, poolings · width]."""
        joined: Tensor = ops.concatenate([pooling(x, offsets) for pooling in self.poolings], axis=1)
        return joined

    if TYPE_CHECKING:
        __call__ = forward


class _RowPooling(Module):
    """One row of each sequence."""

    returns_weights = True

    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: Literal[True]) -> tuple[Tensor, Tensor]: ...
    def forward(self, x: Tensor, offsets: np.ndarray, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """x [T, width] → [B, width], and the weights, one-hot, [T] if asked for. An empty sequence gives zeros."""
        chosen = np.zeros(x.shape[0], np.float32)
        chosen[self._row(offsets)[np.diff(offsets) > 0]] = 1.0
        weights = tensor(chosen, device=x.device)
        pooled = ops.ragged_sums(weights, x, _one_query_each(offsets), offsets)
        return (pooled, weights) if return_weights else pooled

    def _row(self, offsets: np.ndarray) -> np.ndarray:
        """Which row of x it is for each sequence [B]; of an empty one any."""
        raise NotImplementedError(f"[pooling] expected a _row method in {type(self).__name__}")

    if TYPE_CHECKING:
        __call__ = forward


class FirstPooling(_RowPooling):
    """The first row of a sequence, that of a token put there to collect what the others say (Devlin et al., 2019)."""

    def _row(self, offsets: np.ndarray) -> np.ndarray:
        return offsets[:-1]


class LastPooling(_RowPooling):
    """The last row of a sequence, the only one that has seen all of it where attention is causal (Radford et al.,
    2018)."""

    def _row(self, offsets: np.ndarray) -> np.ndarray:
        return offsets[1:] - 1


def _one_query_each(offsets: np.ndarray) -> np.ndarray:
    return index_array(np.arange(len(offsets), dtype=np.int32))
