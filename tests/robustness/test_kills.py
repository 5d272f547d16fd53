"""A short part of `./dev kills`: each way once. A training that is disturbed and resumed ends with the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from kills import trial
from kills.training import Training


@pytest.mark.parametrize(
    ("way", "task"),
    [
        ("random", "translate"),
        ("slow", "caption"),
        ("calls", "classify-text"),
        ("failing", "translate"),
        ("full", "caption"),
    ],
)
def test_a_disturbed_training_ends_as_an_undisturbed_one(way: str, task: str, tmp_path: Path) -> None:
    if reason := trial.why_not(way):
        pytest.skip(reason)
    _, faults = trial.disturb(way, Training(task, tmp_path), seed=1, kills=1)
    assert faults == []
