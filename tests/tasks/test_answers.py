"""What `evaluate` says of a classifier's answers: accuracy, scores of each class, what is taken for what, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from attnkit.data.labels import of_the_model, renamed
from attnkit.metrics.classes import class_scores, confusion, top_accuracy
from attnkit.tasks.shared.answers import Answers, ClassificationReport

LABELS = np.array([0, 1, 1, 1, 0, 3], np.int32)
PREDICTED = np.array([0, 0, 1, 1, 2, 0], np.int32)
NAMES = ["a", "b", "c", "d", "e"]


def answered(logits: np.ndarray, labels: np.ndarray) -> Answers:
    """The answers, in two batches that come in another order."""
    found = Answers(labels)
    order = np.arange(len(labels), dtype=np.int32)[::-1]
    for chosen in (order[:2], order[2:]):
        found.add(found.read(chosen, logits[chosen]))
    return found


def test_scores_of_each_class() -> None:
    # Of a: one right of two, and three are taken for it; of b: two of three; c is taken once and never there; d is
    # there once and never found.
    scores = {each.number: each for each in class_scores(PREDICTED, LABELS)}
    assert list(scores) == [0, 1, 2, 3]
    assert (scores[0].expected, scores[0].predicted, scores[0].right) == (2, 3, 1)
    assert (scores[0].precision, scores[0].recall, scores[0].f1) == pytest.approx((100 / 3, 50.0, 40.0))
    assert (scores[1].precision, scores[1].recall, scores[1].f1) == pytest.approx((100.0, 200 / 3, 80.0))
    assert (scores[2].precision, scores[2].recall, scores[2].f1) == (0.0, None, 0.0)
    assert (scores[3].precision, scores[3].recall, scores[3].f1) == (None, 0.0, 0.0)
    assert confusion(PREDICTED, LABELS) == {(0, 0): 1, (0, 2): 1, (1, 0): 1, (1, 1): 2, (3, 0): 1}
    with pytest.raises(ValueError, match="expected one reference for each"):
        class_scores(PREDICTED, LABELS[:3])


def test_a_report_is_that_of_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 5)).astype(np.float32)
    logits[np.arange(6), PREDICTED] = 9.0
    report = ClassificationReport.of(answered(logits, LABELS), NAMES, empty=3, truncated=1)
    wide = logits.astype(np.float64)
    loss = np.mean(np.log(np.exp(wide).sum(axis=1)) - wide[np.arange(6), LABELS])
    assert report.loss == pytest.approx(loss, rel=1e-6) and report.accuracy == pytest.approx(50.0)
    assert report.macro_f1 == pytest.approx((40.0 + 80.0 + 0.0 + 0.0) / 4)
    assert (report.examples, report.empty, report.truncated, report.top5) == (6, 3, 1, None)
    assert report.confusion == {"a": {"a": 1, "c": 1}, "b": {"a": 1, "b": 2}, "d": {"a": 1}}
    assert [(each.label, each.examples, each.predicted) for each in report.classes] == [
        ("a", 2, 3), ("b", 3, 2), ("c", 0, 1), ("d", 1, 0),
    ]  # fmt: skip


def test_ranks_are_places_in_the_order_of_the_classes() -> None:
    """Of equal logits the first is the likelier, so that a rank of 0 is a right answer, always."""
    rng = np.random.default_rng(1)
    logits = rng.integers(0, 4, (40, 9)).astype(np.float32)  # many are equal
    labels = rng.integers(0, 9, 40).astype(np.int32)
    found = answered(logits, labels)
    order = np.argsort(-logits, axis=1, kind="stable").tolist()
    ranks = [row.index(label) for row, label in zip(order, labels.tolist(), strict=True)]
    assert found.ranks.tolist() == ranks
    np.testing.assert_array_equal(found.ranks == 0, found.predicted == labels)
    report = ClassificationReport.of(found, [str(n) for n in range(9)])
    assert report.top5 == pytest.approx(100 * np.mean(np.array(ranks) < 5)) and report.accuracy < report.top5 < 100
    assert top_accuracy(found.ranks, 1) == pytest.approx(report.accuracy)


def test_labels_that_the_model_does_not_know() -> None:
    assert of_the_model(["b", "a"], ["a", "b"]).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"^\[evaluate\] expected the labels of the model \(a, b\), got 'x' for 1\.$"):
        of_the_model(["a", "x"], ["a", "b"], lambda number: f"{number}.")
    assert renamed(["x", "y", "x"], {"x": "a"}) == ["a", "y", "a"]
    with pytest.raises(ValueError, match="expected a label of the data to rename, got 'z'"):
        renamed(["x"], {"z": "a"})
