"""What a classifier answers where the right class is known: the figures of validations and of `attnkit evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit import ops
from attnkit.metrics.classes import accuracy, class_scores, confusion, macro_f1, top_accuracy
from attnkit.training.metrics import Figure

_TOP = 5


class Answered(NamedTuple):
    """The answers for a batch: nll, the summed -log p of the labels; the rest as in `Answers`, [B]."""

    indices: npt.NDArray[np.int32]
    nll: float
    predicted: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.int32]


class Answers:
    """The answers for N examples, as their batches come.

    labels: their classes, int32 [N]; predicted: the likeliest ones, int32 [N]; ranks: how many classes are likelier
    than the right one, int32 [N].
    """

    def __init__(self, labels: npt.NDArray[np.int32]) -> None:
        self.labels = labels
        self.predicted = np.empty(len(labels), np.int32)
        self.ranks = np.empty(len(labels), np.int32)
        self._nll = 0.0

    def read(self, indices: npt.NDArray[np.int32], logits: npt.NDArray[np.float32]) -> Answered:
        """What the logits [B, classes] of the examples of these numbers, [B], answer."""
        right = self.labels[indices]
        nll = float(ops.cross_entropy(logits, right, reduction="none").sum(dtype=np.float64))
        # Of equal logits the first counts as the likelier, as `argmax` has it.
        own = logits[np.arange(len(right)), right][:, None]
        before = np.arange(logits.shape[1]) < right[:, None]
        ranks = ((logits > own) | ((logits == own) & before)).sum(axis=1)
        predicted = logits.argmax(axis=1)
        return Answered(np.asarray(indices), nll, predicted.astype(np.int32), ranks.astype(np.int32))

    def add(self, batch: Answered) -> None:
        self._nll += batch.nll
        self.predicted[batch.indices] = batch.predicted
        self.ranks[batch.indices] = batch.ranks

    @property
    def loss(self) -> float:
        """-log p of a label, in nats."""
        return self._nll / len(self.labels)

    def figures(self) -> dict[str, Figure]:
        """accuracy and macro_f1, both in percent."""
        return {
            "accuracy": accuracy(self.predicted, self.labels),
            "macro_f1": macro_f1(self.predicted, self.labels),
        }


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: how many examples are of it, how many are taken for it, and in percent its precision (None where
    nothing is taken for it), recall (None where there is nothing of it) and F1."""

    label: str
    examples: int
    predicted: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True, slots=True)
class ClassificationReport:
    """How a classifier does on labelled data.

    examples: how many counted. accuracy, macro_f1: in percent, as in validations; loss: -log p of a label. top5: how
    often the right class is among the five likeliest, in percent; None for a model of five classes or fewer. classes:
    those that occur in the data or in the answers, in the model's order. confusion: {what it is: {what it is taken
    for: how often}}, without zeros. empty: texts without a word, which do not count. truncated: texts that are longer
    than the model reads.
    """

    examples: int
    accuracy: float
    top5: float | None
    macro_f1: float
    loss: float
    classes: list[ClassFigures]
    confusion: dict[str, dict[str, int]]
    empty: int = 0
    truncated: int = 0

    @classmethod
    def of(cls, found: Answers, labels: Sequence[str], empty: int = 0, truncated: int = 0) -> ClassificationReport:
        """labels: the names of the model's classes."""
        scores = class_scores(found.predicted, found.labels)
        counts: dict[str, dict[str, int]] = {}
        for (is_one, taken_for), count in confusion(found.predicted, found.labels).items():
            counts.setdefault(labels[is_one], {})[labels[taken_for]] = count
        return cls(
            examples=len(found.labels),
            accuracy=accuracy(found.predicted, found.labels),
            top5=top_accuracy(found.ranks, _TOP) if len(labels) > _TOP else None,
            macro_f1=macro_f1(found.predicted, found.labels),
            loss=found.loss,
            classes=[
                ClassFigures(labels[each.number], each.expected, each.predicted, each.precision, each.recall, each.f1)
                for each in scores
            ],
            confusion=counts,
            empty=empty,
            truncated=truncated,
        )
