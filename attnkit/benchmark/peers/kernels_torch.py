"""PyTorch's side of `attnkit bench kernels`: python -m ... THREADS MIN_SECONDS DEVICE.

A function of a kernel's name gets the case and makes the call. In bf16 all arrays are of bfloat16, where PyTorch is
fastest; attnkit's stay float32.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from attnkit.benchmark.kernels import Case

Call = Callable[[], Any]


def _dtype(case: Case) -> torch.dtype:
    return torch.bfloat16 if case.precision == "bf16" else torch.float32


def _random(case: Case, *shape: int, scale: float = 1.0) -> torch.Tensor:
    return (torch.randn(shape) * scale).to(_dtype(case))


def _run(case: Case, operation: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> Call:
    backward = case.direction == "both"
    tensors = [each.requires_grad_(backward) for each in inputs]

    def forward() -> None:
        with torch.no_grad():
            operation(*tensors)

    if not backward:
        return forward
    with torch.no_grad():
        cotangent = torch.randn_like(operation(*tensors))

    def both() -> None:
        operation(*tensors).backward(cotangent)  # type: ignore[no-untyped-call]
        for each in tensors:
            each.grad = None

    return both


def matmul(case: Case) -> Call:
    m, k, n = case.shape
    return _run(case, F.linear, _random(case, m, k), _random(case, n, k))


def attention(case: Case) -> Call:
    arrays = [_random(case, *case.shape) for _ in range(3)]
    if case.variant == "weights":  # its fused attention has none to return
        return _run(case, _plain_attention, *arrays)
    return _run(case, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=bool(case.variant)), *arrays)


def _plain_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return torch.softmax(query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5, dim=-1) @ value


def softmax(case: Case) -> Call:
    return _run(case, lambda x: torch.softmax(x, dim=-1), _random(case, *case.shape))


def layer_norm(case: Case) -> Call:
    return _run(case, lambda x: F.layer_norm(x, x.shape[-1:]), _random(case, *case.shape))


def linear_cross_entropy(case: Case) -> Call:
    tokens, width, vocabulary = case.shape
    hidden = _random(case, tokens, width).requires_grad_()
    weight = _random(case, vocabulary, width, scale=width**-0.5).requires_grad_()
    labels = torch.arange(tokens) % vocabulary

    def both() -> None:
        loss = F.cross_entropy((hidden @ weight.T).float(), labels, label_smoothing=0.1)
        loss.backward()  # type: ignore[no-untyped-call]
        hidden.grad = weight.grad = None

    return both


def gru(case: Case) -> Call:
    return _recurrent(case, torch.nn.GRU)


def lstm(case: Case) -> Call:
    return _recurrent(case, torch.nn.LSTM)


def _recurrent(case: Case, kind: Any) -> Call:
    batch, tokens, width = case.shape
    layer = kind(width, width, batch_first=True, dtype=_dtype(case))
    run = _run(case, lambda x: layer(x)[0], _random(case, batch, tokens, width))

    def call() -> None:
        run()
        for parameter in layer.parameters():
            parameter.grad = None

    return call


def conv2d(case: Case) -> Call:
    """Channels last, as attnkit has them; PyTorch is no slower that way."""
    batch, side, channels, outputs, kernel = case.shape
    image = _random(case, batch, channels, side, side).to(memory_format=torch.channels_last)
    weight = _random(case, outputs, channels, kernel, kernel).to(memory_format=torch.channels_last)
    return _run(case, lambda x, w: F.conv2d(x, w, padding=kernel // 2), image, weight)


def copy(case: Case) -> Call:
    source, target = torch.ones(case.shape), torch.ones(case.shape)
    return lambda: target.copy_(source)


def main(threads: str, min_seconds: str, device: str) -> None:
    from attnkit.benchmark.peers.torch_setting import torch_device
    from attnkit.benchmark.timing import serve_cases

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    finish = torch_device(device)
    serve_cases(lambda case: globals()[case.kernel](case), float(min_seconds), finish)


if __name__ == "__main__":
    main(*sys.argv[1:])
