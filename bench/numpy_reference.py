"""The kernels in NumPy, as plainly as it can be fast. They are the fixed measure of the guard: they must not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attnkit.benchmark.kernels import Case

Call = Callable[[], Any]


def _random(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def _softmax(x: np.ndarray) -> np.ndarray:
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def matmul(case: Case) -> Call:
    m, k, n = case.shape
    x, weight = _random(m, k), _random(n, k)
    return lambda: x @ weight.T


def attention(case: Case) -> Call:
    query, key, value = (_random(*case.shape) for _ in range(3))
    scale = np.float32(case.shape[-1] ** -0.5)
    return lambda: _softmax(query @ key.swapaxes(-1, -2) * scale) @ value


def softmax(case: Case) -> Call:
    x = _random(*case.shape)
    return lambda: _softmax(x)


def layer_norm(case: Case) -> Call:
    x = _random(*case.shape)

    def call() -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(1e-5))

    return call


def linear_cross_entropy(case: Case) -> Call:
    tokens, width, vocabulary = case.shape
    hidden, weight = _random(tokens, width), _random(vocabulary, width) * np.float32(width**-0.5)
    labels = np.arange(tokens) % vocabulary

    def call() -> tuple[np.ndarray, np.ndarray]:
        gradient = _softmax(hidden @ weight.T)
        gradient[np.arange(tokens), labels] -= 1
        return gradient @ weight, gradient.T @ hidden

    return call


def gru(case: Case) -> Call:
    batch, tokens, width = case.shape
    x, inputs, weight = _random(tokens, batch, width), _random(3 * width, width), _random(3 * width, width) * 0.05

    def call() -> np.ndarray:
        projected, state = x @ inputs.T, np.zeros((batch, width), np.float32)
        for step in projected:
            u = state @ weight.T
            gates = 1 / (1 + np.exp(-(step[:, : 2 * width] + u[:, : 2 * width])))
            reset, update = gates[:, :width], gates[:, width:]
            candidate = np.tanh(step[:, 2 * width :] + reset * u[:, 2 * width :])
            state = (1 - update) * candidate + update * state
        return state

    return call


def conv2d(case: Case) -> Call:
    batch, side, channels, outputs, kernel = case.shape
    image, weight = _random(batch, side, side, channels), _random(kernel * kernel * channels, outputs)
    edge = kernel // 2

    def call() -> np.ndarray:
        padded = np.pad(image, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
        return windows.transpose(0, 1, 2, 4, 5, 3).reshape(batch * side * side, -1) @ weight

    return call
