"""Accuracy and F1 of predicted classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.metrics.lengths import check_lengths

Classes = npt.NDArray[np.integer[Any]]


def accuracy(predicted: Classes, expected: Classes) -> float:
    """The share of right classes in percent: both int [N]."""
    check_lengths("accuracy", predicted, expected)
    return 100.0 * float(np.mean(np.asarray(predicted) == np.asarray(expected)))


def macro_f1(predicted: Classes, expected: Classes) -> float:
    """The mean of the classes' F1 scores in percent, each class counting alike, over all that occur on either side."""
    check_lengths("macro_f1", predicted, expected)
    got, want = np.asarray(predicted), np.asarray(expected)
    scores = []
    for each in np.union1d(got, want):
        right = np.count_nonzero((got == each) & (want == each))
        scores.append(2.0 * right / (np.count_nonzero(got == each) + np.count_nonzero(want == each)))
    return 100.0 * float(np.mean(scores))
