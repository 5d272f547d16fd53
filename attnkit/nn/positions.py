"""Positions: sinusoids and learned vectors, looked up together with the embedding; learned grids for images."""

from __future__ import annotations

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import tensor
from attnkit.nn import init
from attnkit.nn.module import Module


def sinusoids(length: int, width: int, halves: bool = False, spacing: str = "paper", offset: int = 0) -> np.ndarray:
    """[length, width]: sin at even columns, cos at odd ones (Vaswani et al., 2017, section 3.5).

    With halves all sines come first, then all cosines. The frequencies fall from 1 in equal ratios: with spacing
    "paper" to one ratio before 1/10000, with "tensor2tensor" (also fairseq's and Marian's) to 1/10000 itself, and an
    odd last column is then zero. Row 0 is position `offset`: fairseq's models count from padding_idx + 1.
    """
    position = np.arange(offset, offset + length, dtype=np.float64)[:, None]
    if spacing == "paper":
        used = width
        angle = position * 10000.0 ** -(np.arange(0, width, 2, dtype=np.float64) / width)
    elif spacing == "tensor2tensor":
        used = width // 2 * 2
        angle = _rounded_angles(position, width // 2)
    else:
        raise ValueError(f'[sinusoids] expected spacing "paper" or "tensor2tensor", got "{spacing}"')
    table = np.zeros((length, width), dtype=np.float32)
    middle = (used + 1) // 2
    sine, cosine = (slice(middle), slice(middle, used)) if halves else (slice(0, used, 2), slice(1, used, 2))
    table[:, sine] = np.sin(angle)
    table[:, cosine] = np.cos(angle[:, : used // 2])
    return table


def _rounded_angles(position: np.ndarray, frequencies: int) -> np.ndarray:
    """position [N, 1] times each frequency, rounded to float32 as those libraries have them: so far from the exact ones
    that models in int8, which were trained with them, can notice."""
    step = np.log(np.float32(10000)) / np.float32(max(1, frequencies - 1))
    frequency = np.exp((np.arange(frequencies, dtype=np.float32) * -step).astype(np.float64)).astype(np.float32)
    angles: np.ndarray = (position.astype(np.float32) * frequency).astype(np.float64)
    return angles


def packed_positions(offsets: np.ndarray) -> np.ndarray:
    """0, 1, 2, ... within each sentence: offsets int32 [B + 1] → int32 [T]."""
    lengths = np.diff(offsets)
    places: np.ndarray = np.arange(offsets[-1], dtype=np.int32) - np.repeat(offsets[:-1], lengths)
    return places.astype(np.int32)


class SinusoidalPositions(Module):
    """Fixed sinusoids, as `sinusoids` lays them out; the table grows as longer sentences come."""

    def __init__(
        self, width: int, length: int = 256, halves: bool = False, spacing: str = "paper", offset: int = 0
    ) -> None:
        super().__init__()
        self.width = width
        self.halves, self.spacing, self.offset = halves, spacing, offset
        self._table = self._make(length, None)

    def _make(self, length: int, device: str | None) -> Tensor:
        return tensor(sinusoids(length, self.width, self.halves, self.spacing, self.offset), device=device)

    def table(self, length: int) -> Tensor:
        """[at least length, width]."""
        if length > self._table.shape[0]:
            self._table = self._make(max(length, 2 * self._table.shape[0]), self._table.device)
        return self._table

    def extra_repr(self) -> str:
        return f"{self.width}, halves={self.halves}, spacing={self.spacing}, offset={self.offset}"


class LearnedPositions(Module):
    """A trained vector for each position up to `length`; a longer sentence raises ValueError.

    The weight has `offset` more rows in front, which nothing reads: models of fairseq's family (BART: 2) have them.
    """

    def __init__(self, width: int, length: int, offset: int = 0) -> None:
        super().__init__()
        self.weight = init.normal((offset + length, width), 0.02)
        self.offset = offset

    def table(self, length: int) -> Tensor:
        """[at least length, width]."""
        longest = self.weight.shape[0] - self.offset
        if length > longest:
            raise ValueError(f"[positions] expected at most {longest} tokens in a sentence, got {length}")
        table: Tensor = ops.split(self.weight, [self.offset, longest])[1] if self.offset else self.weight
        return table

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, length={self.weight.shape[0] - self.offset}, offset={self.offset}"


def resampling(old: int, new: int, method: str = "bicubic") -> np.ndarray:
    """[new, old]: values at `new` places evenly over an axis as weighted sums of values at `old` places.

    "bilinear" and "bicubic" (Keys, 1981, with a = -0.75), edges repeated, as PyTorch's interpolate.
    """
    if method not in ("bilinear", "bicubic"):
        raise ValueError(f'[resampling] expected "bilinear" or "bicubic", got "{method}"')
    place = (np.arange(new) + 0.5) * old / new - 0.5
    reach, kernel = (1, _triangle) if method == "bilinear" else (2, _cubic)
    matrix = np.zeros((new, old))
    for tap in range(1 - reach, 1 + reach):
        index = np.floor(place) + tap
        source = np.clip(index, 0, old - 1).astype(int)
        np.add.at(matrix, (np.arange(new), source), kernel(np.abs(place - index)))
    return matrix.astype(np.float32)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - distance)


def _cubic(distance: np.ndarray, a: float = -0.75) -> np.ndarray:
    near = ((a + 2.0) * distance - (a + 3.0)) * distance**2 + 1.0
    far = a * (((distance - 5.0) * distance + 8.0) * distance - 4.0)
    return np.where(distance <= 1.0, near, np.where(distance < 2.0, far, 0.0))


class GridPositions(Module):
    """A trained vector for each place of a grid, resampled for other grids (Dosovitskiy et al., 2021, section 3.2)."""

    def __init__(self, width: int, rows: int, columns: int, method: str = "bicubic") -> None:
        super().__init__()
        self.weight = init.normal((rows * columns, width), 0.02)
        self.grid = (rows, columns)
        self.method = method

    def table(self, rows: int, columns: int) -> Tensor:
        """[rows · columns, width], row by row; differentiable."""
        if (rows, columns) == self.grid:
            return self.weight
        down, across = (resampling(old, new, self.method) for old, new in zip(self.grid, (rows, columns), strict=True))
        return ops.matmul(np.kron(down, across), self.weight)

    def fit(self, weight: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """A table that was trained for another grid, for this one."""
        down, across = (resampling(old, new, self.method) for old, new in zip((rows, columns), self.grid, strict=True))
        fitted: np.ndarray = np.kron(down, across) @ weight
        return fitted

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, grid={self.grid}, method={self.method}"
