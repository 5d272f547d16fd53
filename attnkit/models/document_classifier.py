"""What the models that classify documents share: a vector for each document, and classes from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from attnkit import nn
from attnkit.models.output import LossOutput, label_loss


class DocumentWeights(NamedTuple):
    """What a classifier looked at. words [T]: for each token, within its sentence; sentences [S]: for each sentence,
    within its document. The weights of a sentence, and of a document, sum to one."""

    words: np.ndarray
    sentences: np.ndarray


class DocumentClassifier(nn.Module):
    """Base of the classifiers. Subclasses write `represent` and have an `output` layer."""

    output: nn.Linear

    def represent(self, batch: Any, return_weights: bool = False) -> Any:
        """A batch of B documents (see attnkit.text.DocumentBatch) → [B, width], and with return_weights
        `DocumentWeights`; the vectors are the same with and without."""
        raise NotImplementedError(f"[classifier] expected a represent method in {type(self).__name__}")

    def forward(self, batch: Any, return_weights: bool = False) -> Any:
        """Logits [B, classes], and with return_weights `DocumentWeights`."""
        if not return_weights:
            return self.output(self.represent(batch))
        vectors, weights = self.represent(batch, return_weights=True)
        return self.output(vectors), weights

    def loss(self, batch: Any, label_smoothing: float = 0.0) -> LossOutput:
        """The mean cross-entropy of the labels of a batch."""
        vectors = self.represent(batch)
        return label_loss(vectors, self.output.weight, self.output.bias, batch.labels, label_smoothing)
