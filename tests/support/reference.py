"""Plain float64 formulas of the ops, written to be read. Rows are along the last axis."""

from __future__ import annotations

from math import erfc, pi, sqrt

import numpy as np
import numpy.typing as npt

Array64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.integer]


# --- rows


def softmax(x: Array64) -> Array64:
    """e^x / Σ e^x; a row of -inf gives zeros."""
    largest = x.max(axis=-1, keepdims=True)
    exponentials = np.exp(x - np.where(np.isneginf(largest), 0.0, largest))
    total = exponentials.sum(axis=-1, keepdims=True)
    return exponentials / np.where(total == 0.0, 1.0, total)


def log_softmax(x: Array64) -> Array64:
    """x - log Σ e^x."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def layer_norm(x: Array64, weight: Array64 | float = 1.0, bias: Array64 | float = 0.0, eps: float = 1e-5) -> Array64:
    """(x - mean) / √(variance + eps) · weight + bias."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + eps) * weight + bias


def rms_norm(x: Array64, weight: Array64 | float = 1.0, eps: float = 1e-5) -> Array64:
    """x / √(mean of x² + eps) · weight."""
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps) * weight


def cross_entropy(logits: Array64, labels: Ids, smoothing: float = 0.0, ignore_index: int = -100) -> Array64:
    """(1 - s) · -log p[label] + s · mean over v of -log p[v]; 0 for ignored rows. [T, V], [T] → [T]."""
    log_p = log_softmax(logits)
    counts = labels != ignore_index
    nll = -log_p[np.arange(len(labels)), np.where(counts, labels, 0)]
    return np.where(counts, (1.0 - smoothing) * nll + smoothing * -log_p.mean(axis=-1), 0.0)


def embedding(
    weight: Array64, ids: Ids, scale: float = 1.0, positions: Array64 | None = None, position_ids: Ids | None = None
) -> Array64:
    """scale · weight[ids] + positions[position_ids]."""
    out = scale * weight[ids]
    return out if positions is None else out + positions[position_ids]


def top_k(x: npt.NDArray[np.floating], k: int) -> tuple[npt.NDArray[np.floating], Ids]:
    """The k largest of each row, largest first, ties by index: values and indices [rows, k]."""
    indices = np.argsort(-x, axis=-1, kind="stable")[:, :k]
    return np.take_along_axis(x, indices, axis=-1), indices


# --- functions of one number


def sigmoid(x: Array64) -> Array64:
    return 1.0 / (1.0 + np.exp(-x))


def silu(x: Array64) -> Array64:
    return x * sigmoid(x)


def normal_distribution(x: Array64) -> Array64:
    """Φ(x) = erfc(-x / √2) / 2."""
    return np.vectorize(lambda t: 0.5 * erfc(-t / sqrt(2.0)), otypes=[np.float64])(x)


def gelu(x: Array64) -> Array64:
    return x * normal_distribution(x)


def gelu_tanh(x: Array64) -> Array64:
    """x / 2 · (1 + tanh u) = x · sigmoid(2 u), without the cancellation."""
    twice = 2.0 * sqrt(2.0 / pi) * (x + 0.044715 * x**3)
    return x * sigmoid(np.maximum(twice, -700.0))  # beyond, e^-u is too large for a float64


def quick_gelu(x: Array64) -> Array64:
    return x * sigmoid(1.702 * x)


def relu(x: Array64) -> Array64:
    return np.maximum(x, 0.0)


# --- random numbers


def philox(counter: npt.ArrayLike, key: npt.ArrayLike) -> npt.NDArray[np.uint32]:
    """Philox-4x32-10 (Salmon et al., 2011): counters [..., 4] and a key [2] of 32-bit words → [..., 4]."""
    c = np.asarray(counter, dtype=np.uint64).copy()
    k = np.asarray(key, dtype=np.uint64).copy()
    low = np.uint64(0xFFFFFFFF)
    multipliers = np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
    for _ in range(10):
        products = c[..., [0, 2]] * multipliers
        high, lows = products >> np.uint64(32), products & low
        c0, c2 = high[..., 1] ^ c[..., 1] ^ k[0], high[..., 0] ^ c[..., 3] ^ k[1]
        c = np.stack([c0, lows[..., 1], c2, lows[..., 0]], axis=-1)
        k = (k + np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint64)) & low
    return c.astype(np.uint32)


def kept(size: int, p: float, state: tuple[int, int]) -> Bools:
    """Which of `size` elements dropout keeps: each has 16 bits of a stream, which must reach p · 2^16, p in float32 as
    ops have it."""
    seed, stream = state
    blocks = np.arange((size + 7) // 8, dtype=np.uint64)
    words_of_stream = [np.full_like(blocks, stream & 0xFFFFFFFF), np.full_like(blocks, stream >> 32)]
    words = philox(
        np.stack([blocks, np.zeros_like(blocks), *words_of_stream], axis=-1), [seed & 0xFFFFFFFF, seed >> 32]
    )
    numbers = np.stack([words & 0xFFFF, words >> 16], axis=-1).reshape(-1)[:size]
    return numbers >= int(float(np.float32(p)) * 65536 + 0.5)


def dropout(x: Array64, p: float, state: tuple[int, int]) -> Array64:
    """x / (1 - p) where kept, else 0; `state` is attnkit.random_state() before the op."""
    return np.where(kept(x.size, p, state).reshape(x.shape), x / (1.0 - p), 0.0)


# --- optimisation


def adam(
    parameter: Array64,
    gradients: list[Array64],
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> Array64:
    """The parameter after one step for each gradient (Kingma & Ba, 2015; decoupled: Loshchilov & Hutter, 2019)."""
    w, m, v = parameter.copy(), np.zeros_like(parameter), np.zeros_like(parameter)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient if decoupled else gradient + weight_decay * w
        m = betas[0] * m + (1.0 - betas[0]) * g
        v = betas[1] * v + (1.0 - betas[1]) * g**2
        m_hat, v_hat = m / (1.0 - betas[0] ** t), v / (1.0 - betas[1] ** t)
        w = w - lr * (m_hat / (np.sqrt(v_hat) + eps) + (weight_decay * w if decoupled else 0.0))
    return w


# --- attention


def visible_keys(queries: int, keys: int, causal: bool, window: tuple[int, int] | None, query_offset: int) -> Bools:
    """Which keys each query sees: [queries, keys]."""
    position = np.arange(queries)[:, None] + query_offset
    j = np.arange(keys)[None, :]
    left, right = window or (-1, -1)
    visible = np.ones((queries, keys), dtype=bool)
    if causal:
        visible &= j <= position
    if left >= 0:
        visible &= j >= position - left
    if right >= 0:
        visible &= j <= position + right
    return visible


def attention(
    query: npt.NDArray[np.floating],
    key: npt.NDArray[np.floating],
    value: npt.NDArray[np.floating],
    mask: npt.NDArray[np.generic] | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    query_offset: int = 0,
    scale: float | None = None,
    softcap: float | None = None,
    dropout_factor: Array64 | None = None,
) -> tuple[Array64, Array64]:
    """softmax(scale q kᵀ) v of query [B, H, N, D], key [B, Hk, M, D], value [B, Hk, M, Dv]: output and weights.

    dropout_factor [B, H, N, M] multiplies the weights: 0 or 1 / (1 - p).
    """
    group = query.shape[1] // key.shape[1]
    q = query.astype(np.float64)
    k, v = (np.repeat(x.astype(np.float64), group, axis=1) for x in (key, value))
    scores = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == np.bool_ else scores + mask.astype(np.float64)
    visible = visible_keys(query.shape[2], key.shape[2], causal, window, query_offset)
    weights = softmax(np.where(visible, scores, -np.inf))
    return (weights if dropout_factor is None else weights * dropout_factor) @ v, weights


def attention_dropout_factor(state: tuple[int, int], p: float, shape: tuple[int, int, int, int]) -> Array64:
    """What dropout multiplies the weights by, [B, H, N, M].

    Weight (b, h, i, j) takes number j of row h · B · N + b · N + i, and rows are padded to a multiple of eight.
    """
    batch, heads, queries, keys = shape
    padded = (keys + 7) // 8 * 8
    keep = kept(heads * batch * queries * padded, p, state).reshape(heads, batch, queries, padded)
    return keep[..., :keys].swapaxes(0, 1) / (1.0 - p)
