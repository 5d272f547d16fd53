"""Every input that ever failed ends in a result or in one line since."""

from __future__ import annotations

import runpy
from pathlib import Path

import children
import pytest
import samples
from expected import mark, patience
from fuzz.job import FILE, restore
from fuzz.ops import CLEAR
from fuzz.runner import left_behind, play

FAULTS = samples.TESTS / "data" / "faults"
FOLDERS = sorted(path.parent for path in FAULTS.glob(f"*/*/{FILE}"))
CALLS = sorted(FAULTS.glob("ops/*.py"))


@pytest.mark.parametrize("kept", [mark(f"{path.parent.name}/{path.name}", path) for path in FOLDERS])
def test_files_that_failed(kept: Path, tmp_path: Path) -> None:
    box = tmp_path / "box"
    box.mkdir()
    outcome = play(restore(kept, box), box)
    fault = children.fault(outcome) or left_behind(box)
    assert fault is None, fault


@pytest.mark.parametrize("script", [mark(f"ops/{path.stem}", path) for path in CALLS])
def test_calls_that_failed(script: Path, tmp_path: Path) -> None:
    outcome = children.run(_call, str(script), folder=tmp_path, seconds=patience(f"ops/{script.stem}"))
    fault = children.fault(outcome)
    assert fault is None, fault


def _call(script: str) -> int:
    """An error that says what is wrong is a good end, too."""
    try:
        runpy.run_path(script)
    except CLEAR as error:
        print(error)
    return 0
