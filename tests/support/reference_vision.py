"""Plain float64 formulas of the ops on images [B, H, W, C], written to be read."""

from __future__ import annotations

import numpy as np
from reference import Array64

Pair = tuple[int, int]


def windows(x: Array64, kernel: Pair, stride: Pair, padding: Pair, fill: float = 0.0) -> Array64:
    """What each output sees: [B, H', W', KH, KW, C]."""
    (above, beside), (down, across) = padding, stride
    padded = np.pad(x, ((0, 0), (above, above), (beside, beside), (0, 0)), constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(1, 2))[:, ::down, ::across]
    return seen.transpose(0, 1, 2, 4, 5, 3)


def conv2d(
    x: Array64, weight: Array64, bias: Array64 | float = 0.0, stride: Pair = (1, 1), padding: Pair = (0, 0),
    groups: int = 1,
) -> Array64:  # fmt: skip
    """Σ over the window and the group's channels of x · weight, plus bias; weight [O, KH, KW, C / groups]."""
    seen = windows(x, weight.shape[1:3], stride, padding)
    parts = zip(np.split(seen, groups, axis=-1), np.split(weight, groups, axis=0), strict=True)
    return np.concatenate([np.tensordot(s, w, axes=((3, 4, 5), (1, 2, 3))) for s, w in parts], axis=-1) + bias


def max_pool2d(x: Array64, kernel: Pair, stride: Pair, padding: Pair) -> Array64:
    return windows(x, kernel, stride, padding, -np.inf).max(axis=(3, 4))


def avg_pool2d(x: Array64, kernel: Pair, stride: Pair, padding: Pair) -> Array64:
    return windows(x, kernel, stride, padding).mean(axis=(3, 4))


def batch_norm(
    x: Array64, weight: Array64, bias: Array64, residual: Array64 | float = 0.0, relu: bool = False, eps: float = 1e-5
) -> Array64:
    """(x - mean) / √(variance + eps) · weight + bias + residual by the statistics of each column of x."""
    rows = x.reshape(-1, x.shape[-1])
    y = (x - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + eps) * weight + bias + residual
    return np.maximum(y, 0.0) if relu else y


def patches(x: Array64, size: Pair) -> Array64:
    return windows(x, size, size, (0, 0)).reshape(-1, size[0] * size[1] * x.shape[-1])
