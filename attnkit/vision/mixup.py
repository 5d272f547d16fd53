"""Mixup: training on blends of two images and their labels (Zhang et al., 2018)."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt


def mix(images: npt.NDArray[np.float32], alpha: float, draw: random.Random) -> tuple[npt.NDArray[np.int64], float]:
    """Blends each image [B, ...] in place with that of another place in the batch: share · own + (1 - share) · other.

    → (others [B], share): whose label is worth 1 - share; the share is drawn from Beta(alpha, alpha).
    """
    others = np.array(draw.sample(range(len(images)), len(images)), np.int64)
    share = draw.betavariate(alpha, alpha)
    mixed = np.float32(share) * images + np.float32(1.0 - share) * images[others]
    images[...] = mixed
    return others, share
