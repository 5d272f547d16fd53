"""Images as the tokens of a Transformer. Images are [B, H, W, C]: a pixel is a row of channels."""

from __future__ import annotations

from itertools import pairwise

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn.convolution import Conv2d
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module, ModuleList
from attnkit.nn.normalisation import BatchNorm2d
from attnkit.nn.pooling import MaxPool2d


class PatchEmbedding(Module):
    """Every patch as a vector, one matrix product for all (Dosovitskiy et al., 2021, eq. 1).

    images [B, H, W, channels] → [B · H/P · W/P, d_model], patches row by row, packed image after image. H and W are
    multiples of patch_size.
    """

    def __init__(self, patch_size: int, d_model: int, channels: int = 3) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.projection = Linear(patch_size * patch_size * channels, d_model)

    def forward(self, images: Tensor) -> Tensor:
        return self.projection(ops.patches(images, self.patch_size))

    def extra_repr(self) -> str:
        return f"patch_size={self.patch_size}"


class ConvolutionalStem(Module):
    """As `PatchEmbedding`, by convolutions of 3 x 3 whose windows overlap.

    Each halves rows and columns, by its stride (Xiao et al., 2021) or, with pooling, by max pooling behind it (Hassani
    et al., 2021), which costs four times as much and sees every pixel's neighbourhood. It is normalised over the batch
    and followed by a ReLU; the channels double from one to the next and end at d_model, where a linear layer gives the
    tokens. patch_size is a power of two.
    """

    def __init__(self, patch_size: int, d_model: int, channels: int = 3, pooling: bool = False) -> None:
        super().__init__()
        halvings = patch_size.bit_length() - 1
        if patch_size < 2 or patch_size != 1 << halvings:
            raise ValueError(f"[convolutional_stem] expected a patch_size that is a power of two, got {patch_size}")
        widths = [channels, *(max(1, d_model >> (halvings - i)) for i in range(1, halvings + 1))]
        stride = 1 if pooling else 2
        self.convolutions = ModuleList([Conv2d(a, b, 3, stride, padding=1, bias=False) for a, b in pairwise(widths)])
        self.norms = ModuleList([BatchNorm2d(width, activation="relu") for width in widths[1:]])
        self.pool = MaxPool2d(3, 2, padding=1) if pooling else None
        self.projection = Linear(d_model, d_model)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = norm(convolution(x))
            x = x if self.pool is None else self.pool(x)
        return self.projection(x.reshape(-1, x.shape[3]))
