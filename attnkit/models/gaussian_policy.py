"""A policy of continuous choices, trained by REINFORCE with a learned baseline (Williams, 1992; Mnih et al., 2014)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit import nn
from attnkit._core import Tensor
from attnkit._tensor import tensor
from attnkit.nn import init

Floats = npt.NDArray[np.float32]


class Step(NamedTuple):
    """One choice for each of B examples.

    chosen [B, N]: what was done, within -1 and 1. log_probability [B]: of the sample, up to a constant; None where
    nothing was drawn. expected [B]: the reward that the baseline foresaw.
    """

    chosen: Floats
    log_probability: Tensor | None
    expected: Tensor


class GaussianPolicy(nn.Module):
    """Chooses N numbers between -1 and 1 by a state: a sample around the mean tanh(W h + b) in training, the mean
    itself in evaluation. The standard deviation is fixed.

    The state learns what the choice needs to know (as in Ba et al., 2015); for the baseline it is only read.
    """

    def __init__(self, width: int, choices: int, deviation: float) -> None:
        super().__init__()
        self.mean = nn.Linear(width, choices)
        self.baseline = nn.Linear(width, 1)
        self.deviation = deviation

    def forward(self, state: Tensor) -> Step:
        """state [B, width]."""
        mean = self.mean(state).tanh()
        expected = self.baseline(state.detach()).reshape(-1)
        place = mean.numpy()
        if not self.training:
            return Step(place.copy(), None, expected)
        noise = init.generator().standard_normal(place.shape, dtype=np.float32)
        sample = place + np.float32(self.deviation) * noise
        away = mean - tensor(sample, device=mean.device)
        log_probability = (away * away).sum(axis=1) * (-0.5 / self.deviation**2)
        # What is beyond the edge is done at the edge; its probability is that of the sample.
        return Step(np.clip(sample, -1.0, 1.0), log_probability, expected)

    def extra_repr(self) -> str:
        return f"deviation={self.deviation}"


def reinforce(steps: list[Step], rewards: Floats) -> Tensor:
    """The gradient of -mean of (R - b) · log p(choice), and that of the mean of (R - b)² for the baselines b alone.

    rewards [B]: what an example got in the end, for all its steps. The result is zero: what is added to a loss for its
    gradient alone leaves the loss what it was.
    """
    parts = []
    for step in steps:
        assert step.log_probability is not None  # this is training: choices are samples
        advantage = rewards - step.expected.numpy()
        error = step.expected - tensor(rewards, device=step.expected.device)
        parts.append((error * error).mean() - (step.log_probability * advantage).mean())
    whole = sum(parts[1:], parts[0]) * (1.0 / len(parts))
    return whole - whole.detach()
