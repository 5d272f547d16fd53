"""How well a model guesses the tokens that are hidden from it: of validations and of `attnkit evaluate`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attnkit import ops
from attnkit.data.order import Int32Array
from attnkit.distributed import Group
from attnkit.metrics.classes import accuracy
from attnkit.models.encoder_only import EncoderOnly
from attnkit.tasks.shared.measured import of_batches
from attnkit.tasks.shared.progress import Done
from attnkit.text.masked_batching import MaskedBatch, MaskedIterator


@dataclass(frozen=True, slots=True)
class MaskedReport:
    """loss: -log p of a hidden token, in nats. accuracy: how often the likeliest guess is right, in percent.
    hidden: how many tokens were hidden. texts: that have tokens. parts: in which the model reads them, more where some
    are longer than it."""

    loss: float
    accuracy: float
    hidden: int
    texts: int
    parts: int

    @property
    def perplexity(self) -> float:
        """The loss's exponential. Several tokens are hidden at once: it is no pseudo-perplexity of whole texts."""
        return math.exp(min(self.loss, 700.0))


def guessed(model: EncoderOnly, batches: MaskedIterator, done: Done, processes: Group) -> tuple[float, float, int]:
    """-log p of a hidden token, the accuracy in percent, and how many tokens were hidden, of the batches of an epoch,
    shared out among the processes. done: called with the hidden tokens of each batch once they are guessed."""

    def guess(batch: MaskedBatch) -> tuple[float, Int32Array, Int32Array]:
        logits = model(batch).numpy()
        nll = float(ops.cross_entropy(logits, batch.labels, reduction="none").sum(dtype=np.float64))
        done(batch.tokens)
        return nll, np.asarray(batch.labels), logits.argmax(axis=1).astype(np.int32)

    nll, labels, guesses = 0.0, [], []
    for cost, hidden_ones, likeliest in of_batches(processes, batches, guess):
        nll += cost
        labels.append(hidden_ones)
        guesses.append(likeliest)
    hidden = np.concatenate(labels)
    return nll / len(hidden), accuracy(np.concatenate(guesses), hidden), len(hidden)
