"""attnkit's side of `attnkit bench kernels`: python -m ... THREADS MIN_SECONDS DEVICE.

A function of a kernel's name gets the case and makes the call. Inputs are random; a call that goes backward leaves its
gradients, and forgets them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import attnkit
from attnkit import Tensor, _core, ops
from attnkit.benchmark.kernels import Case
from attnkit.devices import CPU
from attnkit.nn.init import normal

Call = Callable[[], Any]


def _random(*shape: int) -> Tensor:
    """A parameter: the core packs it for products once, and keeps that until it is written."""
    return normal(shape, 1.0)


def _run(case: Case, operation: Callable[..., Any], *inputs: Tensor) -> Call:
    """The operation on `inputs`, forward alone or followed by backward."""

    def forward() -> None:
        with attnkit.no_grad(), attnkit.precision(case.precision):
            operation(*inputs)

    if case.direction == "forward":
        return forward
    with attnkit.no_grad():
        cotangent = attnkit.tensor(np.ones(operation(*inputs).shape, np.float32))

    def both() -> None:
        with attnkit.precision(case.precision):
            operation(*inputs).backward(cotangent)
        _forget(inputs)

    return both


def _forget(tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        tensor.zero_grad()


def matmul(case: Case) -> Call:
    m, k, n = case.shape
    return _run(case, ops.linear, _random(m, k), _random(n, k))


def attention(case: Case) -> Call:
    arrays = [_random(*case.shape) for _ in range(3)]
    if case.variant == "weights":
        return _run(case, lambda q, k, v: ops.attention(q, k, v, return_weights=True)[0], *arrays)
    return _run(case, lambda q, k, v: ops.attention(q, k, v, causal=case.variant == "causal"), *arrays)


def softmax(case: Case) -> Call:
    return _run(case, ops.softmax, _random(*case.shape))


def layer_norm(case: Case) -> Call:
    return _run(case, ops.layer_norm, _random(*case.shape))


def linear_cross_entropy(case: Case) -> Call:
    tokens, width, vocabulary = case.shape
    labels = np.arange(tokens, dtype=np.int32) % vocabulary
    hidden, weight = _random(tokens, width), normal((vocabulary, width), width**-0.5)

    def both() -> None:
        with attnkit.precision(case.precision):
            ops.linear_cross_entropy(hidden, weight, labels, label_smoothing=0.1).backward()
        _forget([hidden, weight])

    return both


def gru(case: Case) -> Call:
    return _recurrent(case, attnkit.nn.GRU)


def lstm(case: Case) -> Call:
    return _recurrent(case, attnkit.nn.LSTM)


def _recurrent(case: Case, kind: Any) -> Call:
    batch, tokens, width = case.shape
    layer = kind(width, width)
    offsets = np.arange(0, (batch + 1) * tokens, tokens, dtype=np.int32)
    run = _run(case, lambda x: layer(x, offsets)[0], _random(batch * tokens, width))

    def call() -> None:
        run()
        _forget(layer.parameters())

    return call


def conv2d(case: Case) -> Call:
    batch, side, channels, outputs, kernel = case.shape
    image, weight = _random(batch, side, side, channels), _random(outputs, kernel, kernel, channels)
    return _run(case, lambda x, w: ops.conv2d(x, w, padding=kernel // 2), image, weight)


def copy(case: Case) -> Call:
    """By as many threads as the kernels have; NumPy copies without the GIL. On another device the least that a kernel
    can do."""
    if _core.default_device() != CPU:
        return _run(case, lambda x: x * 1.0, _random(*case.shape))
    source = np.ones(case.shape, np.float32)
    target = np.ones_like(source)
    threads = attnkit.get_num_threads()
    parts = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(lambda pair: np.copyto(*pair), parts))


def main(threads: str, min_seconds: str, device: str) -> None:
    from attnkit.benchmark.timing import serve_cases

    attnkit.set_num_threads(int(threads))
    _core.set_default_device(device)
    serve_cases(lambda case: globals()[case.kernel](case), float(min_seconds), _core.synchronize)


if __name__ == "__main__":
    main(*sys.argv[1:])
