"""The glimpse sensor of Mnih et al. (2014): hard attention that crops, sharp in the middle, coarse around it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from attnkit._core import Tensor
from attnkit._tensor import tensor
from attnkit.nn.module import Module

Floats = npt.NDArray[np.float32]


class GlimpseSensor(Module):
    """Square crops around one place of each image: the first of `size` pixels a side, each next one twice as wide, and
    all of them brought to `size` by averaging blocks of pixels.

    A place is (row, column), each from -1, the upper or left edge of the image, to 1, the other one. A crop begins at
    the whole pixel that is nearest (a half goes to the even one); what it has outside the image is 0. No gradient
    passes, neither to the places nor to the images: that is what makes this attention hard.
    """

    def __init__(self, size: int, scales: int) -> None:
        super().__init__()
        if size < 1 or scales < 1:
            raise ValueError(f"[glimpse_sensor] expected a size and scales of at least 1, got {size} and {scales}")
        self.size, self.scales = size, scales

    def forward(self, images: np.ndarray | Tensor, places: np.ndarray) -> Tensor:
        """images [B, H, W, C], places [B, 2] → [B, scales · size · size · C]: crop by crop, row by row."""
        device = images.device if isinstance(images, Tensor) else None
        return tensor(self.crops(images, places).reshape(len(places), -1), device=device)

    def crops(self, images: np.ndarray | Tensor, places: np.ndarray) -> Floats:
        """The same as pictures, [B, scales, size, size, C], the sharpest first."""
        pixels = np.asarray(images, dtype=np.float32)
        if pixels.ndim != 4:
            raise ValueError(f"[glimpse_sensor] expected images of shape [B, H, W, C], got {list(pixels.shape)}")
        if np.shape(places) != (len(pixels), 2):
            raise ValueError(f"[glimpse_sensor] expected places of shape [{len(pixels)}, 2], got {np.shape(places)}")
        frame = (self.widths[-1] + 1) // 2  # no more than half of a crop is outside
        framed = np.pad(pixels, ((0, 0), (frame, frame), (frame, frame), (0, 0)))
        corners = (self.corners(places, pixels.shape[1:3], width) + frame for width in self.widths)
        return np.stack([self._crop(framed, *each) for each in zip(corners, self.widths, strict=True)], axis=1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Pixels of the image along a side of each crop."""
        return tuple(self.size << scale for scale in range(self.scales))

    @staticmethod
    def corners(places: np.ndarray, shape: tuple[int, ...], width: int) -> npt.NDArray[np.int64]:
        """The upper left pixels [B, 2] of crops of this width; they may lie outside the image of shape (H, W)."""
        sides = np.array(shape, np.float64)
        # Half of a crop at the most is outside, wherever someone looks.
        centres = (np.clip(np.asarray(places, np.float64), -1.0, 1.0) + 1.0) / 2.0 * sides
        return np.asarray(np.rint(centres - width / 2.0), np.int64)

    def _crop(self, framed: Floats, corners: npt.NDArray[np.int64], width: int) -> Floats:
        count, size, block = len(framed), self.size, width // self.size
        windows = sliding_window_view(framed, (width, width), axis=(1, 2))
        cut = windows[np.arange(count), corners[:, 0], corners[:, 1]].transpose(0, 2, 3, 1)  # colours last
        if block == 1:
            return np.asarray(cut)
        summed = cut.reshape(count, size, block, width, -1).sum(axis=2)
        summed = summed.reshape(count, size, size, block, -1).sum(axis=3)
        return np.asarray(summed * np.float32(1.0 / block**2))

    def extra_repr(self) -> str:
        return f"size={self.size}, scales={self.scales}"
