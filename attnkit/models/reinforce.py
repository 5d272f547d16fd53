"""REINFORCE: training choices that nothing can be differentiated through (Williams, 1992; Xu et al., 2015).

A sample is noise, and the gradient of a choice is noise times a reward: what makes it learn is what the reward is
compared with. Here that is what soft attention, the mean of all choices, would have got for the same word with the same
weights (Deng et al., 2018, section 4; a greedy decoder in its place is Rennie et al., 2017). It knows how hard the word
is, and nothing of the sample, so that the gradient stays unbiased.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from attnkit import nn
from attnkit._core import Tensor
from attnkit._tensor import no_grad, tensor
from attnkit.models.output import LossOutput
from attnkit.nn import init


class Attempt(NamedTuple):
    """A batch whose words were predicted once: what they cost, on the tape; rewards [T], the log-probability of each
    word, outside it; and the choices where they were sampled."""

    output: LossOutput
    rewards: np.ndarray
    choice: nn.Choice | None = None


class Reinforce(nn.Module):
    """The gradient of -mean of (R - b) · log p(choice) - bonus · mean entropy (Xu et al., 2015, section 4.1), and the
    way there from soft attention.

    The reward of a choice is the log-probability of the word that was written with it; where the choice also changes
    the words behind it in the sentence, theirs too. The baseline b is a moving mean of the reward of a word; with
    `against_soft` the reward is what a word gains over soft attention.

    The first `soft_batches` batches are soft, and teach the scores where to look by an exact gradient; of later ones
    `soft_share` of the loss is that of soft attention (in the spirit of Xu et al., who set half of their samples to the
    mean). The moving mean is a parameter that no gradient reaches, so that checkpoints have it; so is the count of
    batches, a buffer.
    """

    moves = ("baseline",)

    def __init__(
        self,
        baseline_decay: float = 0.9,
        entropy_bonus: float = 0.01,
        baseline: float = 0.0,
        against_soft: bool = False,
        soft_batches: int = 0,
        soft_share: float = 0.0,
    ) -> None:
        super().__init__()
        self.baseline_decay = baseline_decay
        self.entropy_bonus = entropy_bonus
        self.against_soft = against_soft
        self.soft_batches = soft_batches
        self.soft_share = soft_share
        self.baseline = init.constant((1,), baseline)
        self.count: Tensor
        self.register_buffer("count", tensor(np.zeros(1, np.float32)))

    def forward(self, attempt: Callable[[bool], Attempt], offsets: np.ndarray | None = None) -> LossOutput:
        """The loss of a training batch. `attempt(soft)` predicts its words with soft attention or with samples; offsets
        [B + 1] where a choice changes the words behind it."""
        share = self._next_share()
        if share == 1.0:
            return attempt(True).output
        soft = self._soft(attempt, on_tape=share > 0.0)
        hard = attempt(False)
        assert hard.choice is not None  # this is training: positions are sampled
        gains = hard.rewards - soft.rewards if self.against_soft and soft is not None else hard.rewards
        loss = hard.output.loss + self.gradient(hard.choice, gains, offsets)
        if soft is not None and share > 0.0:
            loss = loss * (1.0 - share) + soft.output.loss * share
        return hard.output._replace(loss=loss)

    def is_soft(self) -> bool:
        """Is the next batch one of the first, which are soft?"""
        return bool(self.count.item() < self.soft_batches)

    def _next_share(self) -> float:
        """Counts a batch: how much of its loss is that of soft attention?"""
        if not self.is_soft():
            return self.soft_share
        self.count.copy_(np.array([self.count.item() + 1], np.float32))
        return 1.0

    def _soft(self, attempt: Callable[[bool], Attempt], on_tape: bool) -> Attempt | None:
        if on_tape:
            return attempt(True)
        if not self.against_soft:
            return None
        with no_grad():
            return attempt(True)

    def gradient(self, choice: nn.Choice, rewards: np.ndarray, offsets: np.ndarray | None = None) -> Tensor:
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

    def complete(self, state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The state of a model whose `reinforce` this is. Where it is from before batches were counted, the count that
        it lacks says that the soft ones are over."""
        if "reinforce.count" in state or "reinforce.baseline" not in state:
            return state
        return {**state, "reinforce.count": np.full(1, self.soft_batches, np.float32)}

    def extra_repr(self) -> str:
        return (
            f"baseline_decay={self.baseline_decay}, entropy_bonus={self.entropy_bonus}, "
            f"against_soft={self.against_soft}, soft_batches={self.soft_batches}, soft_share={self.soft_share}"
        )


class HardAttentionConfig(Protocol):
    """The keys of a model's configuration that say how its hard attention is trained."""

    @property
    def entropy_bonus(self) -> float: ...
    @property
    def baseline(self) -> str: ...
    @property
    def soft_batches(self) -> int: ...
    @property
    def soft_share(self) -> float: ...


def make_reinforce(config: HardAttentionConfig, vocabulary: int, baseline_decay: float = 0.9) -> Reinforce:
    """Of a model that writes words of a vocabulary."""
    against_soft = config.baseline == "soft"
    # Before anything is learned, a word has the probability of any other, however it is attended.
    start = 0.0 if against_soft else -math.log(vocabulary)
    schedule = config.soft_batches, config.soft_share
    return Reinforce(baseline_decay, config.entropy_bonus, start, against_soft, *schedule)


def sums_to_the_end(x: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """For each token the sum of x from there to the end of its sentence."""
    up_to = np.concatenate([[0.0], np.cumsum(x, dtype=np.float64)])
    ends = up_to[np.repeat(offsets[1:], np.diff(offsets))]
    return np.asarray(ends - up_to[:-1], dtype=np.float32)
