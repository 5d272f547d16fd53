"""The output layer of a model that writes text: what its words cost in training, and the projection of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from attnkit import _core, nn, ops
from attnkit._core import Tensor
from attnkit.decoding.protocol import Projection
from attnkit.text.tokenizers.vocabulary import BOS, EOS

IGNORED = -100  # a label that costs nothing


class LossOutput(NamedTuple):
    """What a batch cost.

    loss: scalar Tensor, the mean label-smoothed cross-entropy per target token. nll_sum: the summed -log p of the
    labels, without smoothing. tokens: how many labels.
    """

    loss: Tensor
    nll_sum: float
    tokens: int

    def plus(self, cost: Tensor, weight: float) -> LossOutput:
        """With another cost of the batch added, a sum over its tokens as nll_sum is."""
        return self._replace(loss=self.loss + cost * (weight / max(self.tokens, 1)))


def label_loss(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, labels: np.ndarray, label_smoothing: float
) -> LossOutput:
    """hidden [T, width] behind an output layer of weight [V, width], against labels int32 [T]; the logits of the batch
    are never all there."""
    return LossOutput(*_core.linear_cross_entropy(hidden, weight, bias, labels, label_smoothing, IGNORED))


class WritesText(nn.Module, ABC):
    """A model whose `generator`, or where it has none the embedding of the words that it writes, is its output layer
    (Press and Wolf, 2017)."""

    bos_id = BOS
    eos_id = EOS

    config: Any
    generator: nn.Linear | None

    @property
    def max_target_length(self) -> int:
        """In tokens, bos included."""
        return int(self.config.max_length)

    @property
    @abstractmethod
    def tied_weight(self) -> Tensor:
        """[V, width], of the embedding."""

    @property
    def tied_bias(self) -> Tensor | None:
        """[V], added to the words' scores where the embedding is the output layer."""
        return None

    @property
    def output_weight(self) -> Tensor:
        """[V, width]."""
        return self.tied_weight if self.generator is None else self.generator.weight

    @property
    def output_bias(self) -> Tensor | None:
        return self.tied_bias if self.generator is None else self.generator.bias

    def matrices(self) -> Iterator[Tensor]:
        yield self.output_weight

    def logits(self, hidden: Tensor) -> Tensor:
        """[T, V] from hidden [T, width]."""
        return ops.linear(hidden, self.output_weight, self.output_bias)

    def projection(self, hidden: Tensor) -> Projection:
        """What a step of decoding predicts, before the product."""
        return Projection(hidden, self.output_weight, self.output_bias)

    def word_loss(self, hidden: Tensor, labels: np.ndarray, label_smoothing: float) -> LossOutput:
        """What `labels` int32 [T] cost behind `hidden` [T, width]."""
        return label_loss(hidden, self.output_weight, self.output_bias, labels, label_smoothing)
