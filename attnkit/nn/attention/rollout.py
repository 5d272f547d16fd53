"""Attention rollout: what a stack of attention layers looks at, all layers together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def attention_rollout(weights: Sequence[np.ndarray]) -> np.ndarray:
    """How much of each input token reaches each token behind the last layer (Abnar and Zuidema, 2020, section 4).

    weights: for each layer, first to last, [..., H, N, N]. Heads are averaged; half of a layer is its attention,
    half the residual connection around it. → [..., N, N]; rows sum to 1.
    """
    if not weights:
        raise ValueError("[attention_rollout] expected the weights of at least one layer, got none")
    identity = np.eye(weights[0].shape[-1], dtype=np.float32)
    rollout = np.broadcast_to(identity, weights[0].shape[:-3] + identity.shape)
    for of_layer in weights:
        rollout = (0.5 * of_layer.mean(axis=-3) + 0.5 * identity) @ rollout
    return rollout
