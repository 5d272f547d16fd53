"""Pooling of images [B, H, W, C]."""

from __future__ import annotations

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn.module import Module


class _Pool2d(Module):
    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool2d):
    """The largest number of each window and channel: [B, H, W, C] → [B, H', W', C]. stride None is kernel_size."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.max_pool2d(x, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """The mean of each window and channel, zeros of the padding included: [B, H, W, C] → [B, H', W', C]."""

    def forward(self, x: Tensor) -> Tensor:
        return ops.avg_pool2d(x, self.kernel_size, self.stride, self.padding)


class GlobalAvgPool2d(Module):
    """The mean of each channel over the whole image: [B, H, W, C] → [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        return ops.avg_pool2d(x, (height, width)).reshape(batch, channels)


class GlobalMaxPool2d(Module):
    """The largest number of each channel: [B, H, W, C] → [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        return ops.max_pool2d(x, (height, width)).reshape(batch, channels)
