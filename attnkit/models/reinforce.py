"""REINFORCE: training choices that nothing can be differentiated through (Williams, 1992; Xu et al., 2015)."""

from __future__ import annotations

import numpy as np

from attnkit import nn
from attnkit._core import Tensor
from attnkit.nn import init


class Reinforce(nn.Module):
    """The gradient of -mean of (R - b) · log p(choice) - bonus · mean entropy (Xu et al., 2015, section 4.1).

    The reward of a choice is the log-probability of the word that was written with it; where the choice also changes
    the words behind it in the sentence, theirs too. The baseline b is a moving mean of the reward of a word. It is a
    parameter that no gradient reaches, so that checkpoints have it, and starts as `baseline`.
    """

    def __init__(self, baseline_decay: float = 0.9, entropy_bonus: float = 0.01, baseline: float = 0.0) -> None:
        super().__init__()
        self.baseline_decay = baseline_decay
        self.entropy_bonus = entropy_bonus
        self.baseline = init.constant((1,), baseline)

    def forward(self, choice: nn.Choice, rewards: np.ndarray, offsets: np.ndarray | None = None) -> Tensor:
        """rewards [T]; offsets [B + 1] where a choice changes the words behind it. In training, moves the baseline.

        The result is zero: what is added to a loss for its gradient alone leaves the loss what it was.
        """
        before = self.baseline.item()
        advantages = (rewards - before).astype(np.float32)
        if offsets is not None:
            advantages = sums_to_the_end(advantages, offsets)
        if self.training:
            mean = self.baseline_decay * before + (1.0 - self.baseline_decay) * float(rewards.mean())
            self.baseline.copy_(np.array([mean], np.float32))
        gain = (choice.log_probability * advantages).mean() + choice.entropy.mean() * self.entropy_bonus
        return gain.detach() - gain

    def extra_repr(self) -> str:
        return f"baseline_decay={self.baseline_decay}, entropy_bonus={self.entropy_bonus}"


def sums_to_the_end(x: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """For each token the sum of x from there to the end of its sentence."""
    up_to = np.concatenate([[0.0], np.cumsum(x, dtype=np.float64)])
    ends = up_to[np.repeat(offsets[1:], np.diff(offsets))]
    return np.asarray(ends - up_to[:-1], dtype=np.float32)
