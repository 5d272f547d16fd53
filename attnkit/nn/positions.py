"""Positions: sinusoids and learned vectors, looked up together with the embedding."""

from __future__ import annotations

import numpy as np

from attnkit._core import Tensor
from attnkit._tensor import tensor
from attnkit.nn import init
from attnkit.nn.module import Module


def sinusoids(length: int, width: int, halves: bool = False) -> np.ndarray:
    """[length, width]: sin at even columns, cos at odd ones (Vaswani et al., 2017, section 3.5).

    With halves all sines come first, then all cosines.
    """
    position = np.arange(length, dtype=np.float64)[:, None]
    frequency = 10000.0 ** (-np.arange(0, width, 2, dtype=np.float64) / width)
    table = np.zeros((length, width), dtype=np.float32)
    middle = (width + 1) // 2
    sine, cosine = (slice(middle), slice(middle, None)) if halves else (slice(0, None, 2), slice(1, None, 2))
    table[:, sine] = np.sin(position * frequency)
    table[:, cosine] = np.cos(position * frequency[: width // 2])
    return table


def packed_positions(offsets: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... within each sentence: offsets int32 [B + 1] → int32 [T]."""
    lengths = np.diff(offsets)
    return (np.arange(offsets[-1], dtype=np.int32) - np.repeat(offsets[:-1], lengths)).astype(np.int32)


class SinusoidalPositions(Module):
    """Fixed sinusoids; the table grows as longer sentences come."""

    def __init__(self, width: int, length: int = 256, halves: bool = False) -> None:
        super().__init__()
        self.width = width
        self.halves = halves
        self._table = tensor(sinusoids(length, width, halves))

    def table(self, length: int) -> Tensor:
        """[at least length, width]."""
        if length > self._table.shape[0]:
            self._table = tensor(sinusoids(max(length, 2 * self._table.shape[0]), self.width, self.halves))
        return self._table

    def extra_repr(self) -> str:
        return f"{self.width}, halves={self.halves}"


class LearnedPositions(Module):
    """A trained vector for each position up to `length`; a longer sentence raises ValueError."""

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.weight = init.normal((length, width), 0.02)

    def table(self, length: int) -> Tensor:
        if length > self.weight.shape[0]:
            raise ValueError(f"[positions] expected at most {self.weight.shape[0]} tokens in a sentence, got {length}")
        return self.weight

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, length={self.weight.shape[0]}"
