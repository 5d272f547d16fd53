"""Accuracy, precision, recall and F1 of predicted classes, and which are taken for which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.metrics.lengths import check_lengths

Classes = npt.NDArray[np.integer[Any]]


def accuracy(predicted: Classes, expected: Classes) -> float:
    """The share of right classes in percent: both int [N]."""
    check_lengths("accuracy", predicted, expected)
    return 100.0 * float(np.mean(np.asarray(predicted) == np.asarray(expected)))


def top_accuracy(ranks: Classes, k: int) -> float:
    """The share of examples whose right class is among the k likeliest, in percent. ranks: how many classes were
    likelier than the right one, int [N]."""
    check_lengths("top_accuracy", ranks, ranks)
    return 100.0 * float(np.mean(np.asarray(ranks) < k))


def macro_f1(predicted: Classes, expected: Classes) -> float:
    """The mean of the classes' F1 scores in percent, each class counting alike, over all that occur on either side."""
    check_lengths("macro_f1", predicted, expected)
    return float(np.mean([each.f1 for each in class_scores(predicted, expected)]))


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One class. expected: examples that are of it; predicted: examples that are taken for it; right: those that are
    both. Scores are in percent."""

    number: int
    expected: int
    predicted: int
    right: int

    @property
    def precision(self) -> float | None:
        """The share of what is taken for it that is it; None where nothing is."""
        return 100.0 * self.right / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """The share of it that is found; None where there is nothing of it."""
        return 100.0 * self.right / self.expected if self.expected else None

    @property
    def f1(self) -> float:
        """The harmonic mean of both, 0 where nothing is right."""
        return 200.0 * self.right / (self.expected + self.predicted)


def class_scores(predicted: Classes, expected: Classes) -> list[ClassScores]:
    """Of each class that occurs on either side, by its number: both int [N]."""
    counts = confusion(predicted, expected)
    of, taken_for = Counter[int](), Counter[int]()
    for (one, other), count in counts.items():
        of[one] += count
        taken_for[other] += count
    return [
        ClassScores(each, of[each], taken_for[each], counts.get((each, each), 0))
        for each in sorted(of.keys() | taken_for.keys())
    ]


def confusion(predicted: Classes, expected: Classes) -> dict[tuple[int, int], int]:
    """{(expected, predicted): how many examples}, sorted, without zeros: a model may have thousands of classes."""
    check_lengths("confusion", predicted, expected)
    pairs = np.stack([np.asarray(expected), np.asarray(predicted)], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    return {(one, other): count for (one, other), count in zip(found.tolist(), counts.tolist(), strict=True)}
