"""Convolution. Images are [B, H, W, C]: a pixel is a row of channels."""

from __future__ import annotations

import math

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.module import Module


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


class Conv2d(Module):
    """activation(x ∗ weight + bias): x [B, H, W, in_channels] → [B, H', W', out_channels].

    The weight is [out_channels, KH, KW, in_channels / groups]: PyTorch's, with the channels last. Its first values are
    those of He et al. (2015), for a ReLU behind it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        groups: int = 1,
        bias: bool = True,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise ValueError(
                f"[conv2d] expected channels that are multiples of groups = {groups}, got {in_channels} and "
                f"{out_channels}"
            )
        rows, columns = _pair(kernel_size)
        fan_in = rows * columns * in_channels // groups
        self.weight = init.uniform((out_channels, rows, columns, in_channels // groups), math.sqrt(6.0 / fan_in))
        self.bias = init.constant((out_channels,), 0.0) if bias else None
        self.stride, self.padding, self.groups, self.activation = stride, padding, groups, activation

    def forward(self, x: Tensor) -> Tensor:
        return ops.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.groups, self.activation)

    def extra_repr(self) -> str:
        out_channels, rows, columns, channels = self.weight.shape
        return (
            f"{channels * self.groups}, {out_channels}, kernel_size=({rows}, {columns}), stride={self.stride}, "
            f"padding={self.padding}, groups={self.groups}, bias={self.bias is not None}, activation={self.activation}"
        )
