"""Training in bf16, where activations are kept in half the bytes, goes as it goes in float32."""

from __future__ import annotations

import numpy as np
import pytest

import attnkit
from attnkit import nn, ops
from attnkit.nn.transformer import FeedForward
from attnkit.optim import Adam

STEPS = 120


class Residual(nn.Module):
    """Three normed feed-forward layers on a residual stream, and a classifier of 8."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(32) for _ in range(3)])
        self.layers = nn.ModuleList([FeedForward(32, 128, 0.0, activation) for _ in range(3)])
        self.head = nn.Linear(32, 8)

    def forward(self, x: attnkit.Tensor) -> attnkit.Tensor:
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + layer(norm(x))
        return self.head(x)


def curve(precision: str, activation: str) -> np.ndarray:
    """The losses of each step; the label of a point is its nearest of 8 random centres."""
    rng = np.random.default_rng(3)
    points = rng.standard_normal((512, 32)).astype(np.float32)
    labels = (points @ rng.standard_normal((32, 8)).astype(np.float32)).argmax(axis=1)
    attnkit.manual_seed(1)
    model = Residual(activation)
    optimizer, losses = Adam(model.parameters(), lr=2e-3), []
    for step in range(STEPS):
        batch = np.arange(step * 64, step * 64 + 64) % len(points)
        with attnkit.precision(precision):
            loss = ops.cross_entropy(model(attnkit.tensor(points[batch])), labels[batch]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize("activation", ["gelu", "silu", "relu"])
def test_losses_fall_as_in_float32(activation: str) -> None:
    exact, rounded = curve("fp32", activation), curve("bf16", activation)
    assert not np.array_equal(exact, rounded)
    assert exact[-8:].mean() < 0.25 * exact[:8].mean()
    early = slice(0, STEPS // 4)
    np.testing.assert_allclose(rounded[early], exact[early], rtol=0.01)
    epochs = rounded.reshape(-1, 8).mean(axis=1), exact.reshape(-1, 8).mean(axis=1)
    np.testing.assert_allclose(*epochs, rtol=0.01)
