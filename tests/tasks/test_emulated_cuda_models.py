"""Models of every task by the kernels of CUDA, over their emulation, beside the CPU's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from kept_models import MODELS, outputs
from small_trainings import SHORT, TRAININGS
from training_runs import content

import attnkit
from attnkit.training import read_config, train

_testing = pytest.importorskip("attnkit._testing")
_testing.register_emulated_cuda()


@pytest.fixture(autouse=True)
def as_it_is_counted() -> Iterator[None]:
    """No test leaves its order of blocks to the next."""
    yield
    _testing.set_emulation_seed(0)


@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_a_model_of_each_task_says_there_what_it_says_here(source: Path) -> None:
    there = attnkit.load(source, precision="fp32", device="cuda-emulated")
    here = attnkit.load(source, precision="fp32", device="cpu")
    assert outputs(there) == outputs(here)


# Steps between validations: where these translate much, at the end.
KINDS = {
    "translate": 3,
    "translate, recurrent": 1,
    "language model": 1,
    "classify images by a ViT": 1,
    "caption by an LSTM": 1,
}


def trained(name: str, folder: Path, run: str, device: str) -> Path:
    write, overrides = TRAININGS[name]
    few = ("training.max_steps=3", "training.warmup_steps=1", f"training.validate_every={KINDS[name]}", *SHORT[3:])
    train(read_config(write(folder), (*few, *overrides)), folder / run, device=device, progress="none")
    return folder / run


def losses(run: Path) -> np.ndarray:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return np.array([line[key] for line in lines for key in ("loss", "validation_loss") if key in line])


@pytest.mark.parametrize("name", KINDS)
def test_a_training_there_learns_as_one_here(name: str, tmp_path: Path) -> None:
    expected = losses(trained(name, tmp_path, "here", "cpu"))
    assert len(expected) >= 2
    np.testing.assert_allclose(losses(trained(name, tmp_path, "there", "cuda-emulated")), expected, rtol=1e-4)


def test_a_training_is_the_same_in_any_order_of_blocks(tmp_path: Path) -> None:
    runs = []
    for seed in (0, 7):
        _testing.set_emulation_seed(seed)
        runs.append(content(trained("classify images by a ViT", tmp_path, str(seed), "cuda-emulated")))
    assert runs[0] == runs[1]
