"""What the models that classify documents share: a vector for each document, and classes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from attnkit import nn
from attnkit._core import Tensor
from attnkit.models.output import LossOutput, label_loss


class DocumentWeights(NamedTuple):
    """What a classifier looked at. words [T]: for each token, within its sentence; sentences [S]: for each sentence,
    within its document. The weights of a sentence, and of a document, sum to one."""

    words: np.ndarray
    sentences: np.ndarray


class DocumentClassifier(nn.Module):
    """Base of the classifiers. Subclasses write `represent` and have an `output` layer."""

    config: Any
    output: nn.Linear

    @overload
    def represent(self, batch: Any, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def represent(self, batch: Any, return_weights: Literal[True]) -> tuple[Tensor, DocumentWeights]: ...
    def represent(self, batch: Any, return_weights: bool = False) -> Tensor | tuple[Tensor, DocumentWeights]:
        """A batch of B documents (see attnkit.text.DocumentBatch) → [B, width], and with return_weights
        `DocumentWeights`; the vectors are the same with and without."""
        raise NotImplementedError(f"[classifier] expected a represent method in {type(self).__name__}")

    @overload
    def forward(self, batch: Any, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def forward(self, batch: Any, return_weights: Literal[True]) -> tuple[Tensor, DocumentWeights]: ...
    @overload
    def forward(self, batch: Any, return_weights: bool = False) -> Tensor | tuple[Tensor, DocumentWeights]: ...
    def forward(self, batch: Any, return_weights: bool = False) -> Tensor | tuple[Tensor, DocumentWeights]:
        """Logits [B, classes], and with return_weights `DocumentWeights`."""
        if not return_weights:
            return self.output(self.represent(batch))
        vectors, weights = self.represent(batch, return_weights=True)
        return self.output(vectors), weights

    if TYPE_CHECKING:
        __call__ = forward

    def loss(self, batch: Any, label_smoothing: float = 0.0) -> LossOutput:
        """The mean cross-entropy of the labels of a batch."""
        vectors = self.represent(batch)
        return label_loss(vectors, self.output.weight, self.output.bias, batch.labels, label_smoothing)
