"""Squeeze-and-excitation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module
from attnkit.nn.pooling import GlobalAvgPool2d


class SqueezeExcitation(Module):
    """Scales every channel by a number in (0, 1) that the whole image decides (Hu et al., 2018, eqs. 2 to 4).

    x [B, H, W, C] → x · sigmoid(up(relu(down(mean of x)))). The gates themselves, [B, C]: `gates(x)`.
    """

    returns_weights = True

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = GlobalAvgPool2d()
        self.down = Linear(channels, hidden, activation="relu")
        self.up = Linear(hidden, channels, activation="sigmoid")

    def gates(self, x: Tensor) -> Tensor:
        return self.up(self.down(self.squeeze(x)))

    @overload
    def forward(self, x: Tensor, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, return_weights: Literal[True]) -> tuple[Tensor, Tensor]: ...
    def forward(self, x: Tensor, return_weights: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """x [B, H, W, C] → [B, H, W, C], and the gates [B, C] if asked for."""
        gates = self.gates(x)
        scaled = ops.scale_channels(x, gates)
        return (scaled, gates) if return_weights else scaled

    if TYPE_CHECKING:
        __call__ = forward
