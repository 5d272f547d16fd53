"""Hostile links, devices, names, escapes and bombs end in a result or in one line, and in little memory."""

from __future__ import annotations

from pathlib import Path

import children
import hostile
import pytest
from expected import cases, mark, patience


@pytest.mark.parametrize("case", cases(hostile.CASES))
def test_hostile_input(case: hostile.Case, tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    line = case.make(box)
    outcome = children.run(
        children.commands,
        [line],
        folder=box,
        text=case.text.encode(),
        seconds=patience(case.name),
        terminal=case.terminal,
    )
    assert (fault := children.fault(outcome)) is None, fault
    assert outcome.status in case.statuses, outcome
    assert "not enough memory" not in outcome.stderr
    assert not (box / "owned").exists()
    if case.terminal:
        assert "\x1b]0;" not in outcome.stdout and "\x1b[2J" not in outcome.stdout and "\x9b" not in outcome.stdout


@pytest.mark.parametrize("how", [mark("cut"), mark("overwritten")])
def test_weights_that_change_under_a_loaded_model(how: str, tmp_path: Path) -> None:
    outcome = children.run(hostile.overwritten, how, folder=tmp_path)
    assert (fault := children.fault(outcome)) is None, fault
