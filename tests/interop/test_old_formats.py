"""What older versions wrote loads, runs and resumes.

`data/formats/N/` holds the files of format N; its `write.py` is the record of how they were written.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_runs import metrics

import attnkit
from attnkit.decoding.shortlist import Shortlist

FORMAT = Path(__file__).parent.parent / "data" / "formats" / "1"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FORMAT / "expected.json").read_text("utf-8"))
RUNS = sorted(path.name for path in (FORMAT / "halfway").iterdir())

# Multi-head attention takes a row's maximum off before it scales the scores, since great scores left rows that did not
# add up to one. What has it resumes with other last digits.
ROUNDED_ANEW = {"classify-images", "classify-text-transformer", "language-model", "translate", "translate-languages"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the files, which commands may write into."""
    return Path(shutil.copytree(FORMAT, tmp_path_factory.mktemp("formats") / "1"))


def attnkit_in(folder: Path, *arguments: str) -> str:
    """What the command prints, run in `folder` with the arithmetic that the files were written with."""
    done = subprocess.run(
        [sys.executable, "-m", "attnkit.cli.main", *arguments],
        cwd=folder,
        env={**os.environ, "ATTNKIT_ISA": "portable"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same(found: Any, expected: Any) -> None:
    """Equal, numbers to rounding; what the old output had. A later version may say more."""
    if isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)
    elif isinstance(expected, dict):
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


@pytest.mark.parametrize("name", EXPECTED)
def test_a_model_writes_what_it_wrote(folder: Path, name: str) -> None:
    written = attnkit_in(folder, *EXPECTED[name]["command"]).splitlines()
    assert_same([json.loads(line) for line in written], EXPECTED[name]["output"])


@pytest.mark.parametrize("name", sorted(path.name for path in (FORMAT / "models").iterdir()))
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_model_directory_loads(name: str, precision: Any) -> None:
    model = attnkit.load(FORMAT / "models" / name, precision=precision)
    assert all(np.isfinite(array).all() for array in model.model.state_dict().values())


@pytest.mark.parametrize("name", RUNS)
def test_a_training_resumes_as_if_it_had_not_stopped(folder: Path, name: str) -> None:
    attnkit_in(folder, "train", f"trainings/{name}.toml", "--out", f"halfway/{name}", "--resume")
    resumed, whole = folder / "halfway" / name, FORMAT / "models" / name
    same_bytes = name not in ROUNDED_ANEW and platform.machine() in (
        "x86_64",
        "AMD64",
    )  # elsewhere products may be fused
    if same_bytes:
        assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
        assert metrics(resumed) == metrics(whole)
    assert_same(metrics(resumed), metrics(whole))


def test_a_shortlist_loads() -> None:
    shortlist = Shortlist.load(FORMAT / "models" / "translate" / "shortlist.safetensors")
    assert shortlist.target_size == 60 and len(shortlist.offsets) == 61 and len(shortlist.ids) == 96
