"""What classifiers share: a batch of labelled images, its loss."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.vision.targets import ImageBatch


class ClassificationLoss(NamedTuple):
    """What a batch cost.

    loss: scalar Tensor, the mean label-smoothed cross-entropy per image. nll_sum: the summed cross-entropy without
    smoothing. tokens: how many images.
    """

    loss: Tensor
    nll_sum: float
    tokens: int


def classification_loss(logits: Tensor, batch: ImageBatch, label_smoothing: float = 0.0) -> ClassificationLoss:
    """Cross-entropy of logits [B, classes] against the batch's labels, mixed labels or distributions."""
    if (batch.other_labels is None) != (batch.share is None):
        raise ValueError("[classification_loss] expected other_labels and share together, got one of them")
    count = max(1, len(batch.images))
    losses = image_losses(logits, batch, label_smoothing)
    plain = image_losses(logits.detach(), batch) if label_smoothing else losses
    return ClassificationLoss(losses.sum() * (1.0 / count), float(plain.sum()), len(batch.images))


def image_losses(logits: Tensor, batch: ImageBatch, smoothing: float = 0.0) -> Tensor:
    """The cross-entropy of each image, [B]."""
    if np.ndim(batch.labels) == 2:
        classes = logits.shape[1]
        if batch.labels.shape != logits.shape:
            raise ValueError(
                f"[classification_loss] expected labels of shape {list(logits.shape)}, got {list(batch.labels.shape)}"
            )
        targets = (1.0 - smoothing) * batch.labels + smoothing / classes
        return (ops.log_softmax(logits) * -targets.astype(np.float32)).sum(axis=1)
    losses: Tensor = ops.cross_entropy(logits, batch.labels, smoothing, reduction="none")
    if batch.other_labels is None or batch.share is None:
        return losses
    share = np.asarray(batch.share, dtype=np.float32)
    return losses * share + ops.cross_entropy(logits, batch.other_labels, smoothing, reduction="none") * (1.0 - share)
