"""Experiments: small runs of `attnkit explore`, and the mathematics that they rest on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from attnkit import nn
from attnkit.explore.laboratory import by_length, held_out
from attnkit.explore.positions import shift_error, shift_matrix
from attnkit.nn.positions import sinusoids
from attnkit.text import en_it

TINY = """\
import sys

import pytest

sys.path.insert(0, sys.argv.pop(1))
from tiny_experiments import make_tiny

from attnkit.cli.main import main

make_tiny(pytest.MonkeyPatch())
main()
"""


def explore(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, on the corpus of `make_tiny`."""
    support = Path(__file__).parents[1] / "support"
    command = [sys.executable, "-c", TINY, str(support), "explore", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_positions_writes_its_figures_and_keeps_its_runs(tmp_path: Path) -> None:
    result = explore("positions", "--out", tmp_path, "--steps", 2)
    assert result.returncode == 0, result.stderr
    files = [Path(line) for line in result.stdout.splitlines()]
    assert [file.name for file in files] == ["positions.png", "sinusoids.png", "numbers.json"]
    assert all(file.read_bytes()[:4] == b"\x89PNG" for file in files[:2])
    numbers = json.loads(files[2].read_text())
    assert numbers["variants"].keys() == {"sinusoidal", "learned", "none"}
    # A bag of words: without positions, words in any order give the same translation; two steps suffice to see it.
    assert numbers["variants"]["none"]["same_translation"] == 100.0
    assert "warning: This shows nothing yet: expected a BLEU of" in result.stderr and "warning" in numbers
    again = explore("positions", "--out", tmp_path, "--steps", 2)
    assert again.returncode == 0 and "training data" not in again.stderr
    other = explore("positions", "--out", tmp_path, "--steps", 3)
    assert other.returncode == 2 and "choose a new folder, by --out" in other.stderr


@pytest.mark.parametrize(
    ("name", "variants", "files"),
    [
        ("fixed-context", {"attention", "fixed context"}, ["fixed-context.png"]),
        ("reversal", {"forwards", "backwards"}, ["reversal.png"]),
        (
            "hard-soft",
            {"soft", "hard, REINFORCE", "hard, REINFORCE alone", "hard, straight-through"},
            ["hard-soft.png"],
        ),
        ("scores", {"dot", "general, local-p"}, ["scores.png", "maps.png"]),
        ("context", {"attention", "first state", "every step", "both", "blank inputs"}, ["context.png"]),
    ],
)
def test_every_experiment_draws_and_counts(
    tmp_path: Path, name: str, variants: set[str], files: list[str], tiny: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attnkit.explore import explore, hard_soft, scores

    monkeypatch.setattr(scores, "VARIANTS", [("dot", "softmax"), ("general", "local-p")])
    monkeypatch.setattr(hard_soft, "_BATCHES", 2)
    notes: list[str] = []
    written = explore(name, tmp_path, notes.append, steps=2)
    assert [file.name for file in written] == [*files, "numbers.json"]
    found = json.loads(written[-1].read_text())
    assert found["variants"].keys() == variants
    assert len([note for note in notes if note.startswith("training ")]) == len(variants)
    assert notes[-1] == f"warning: {found['warning']}" and "\n" not in notes[-1]  # two steps show nothing
    for figures in found["variants"].values():
        assert 0.0 <= figures["bleu"] <= 100.0 and 0.0 <= figures.get("alignment_error_rate", 0.0) <= 1.0
        assert figures.get("gradient_noise", 1.0) > 0.0 and figures.get("attention_gradient_noise", 1.0) > 0.0


class Spinning:
    """A task whose gradient of a batch is the batch."""

    def __init__(self, gradients: list[np.ndarray]) -> None:
        self.model = nn.Module()
        self.model.decoder = nn.Module()
        self.model.decoder.attention = nn.Linear(3, 1, bias=False)
        self.model.readout = nn.Linear(2, 1, bias=False)
        self.batches = iter(gradients)

    def loss(self, batch: np.ndarray) -> Any:
        one, two = self.model.decoder.attention.weight, self.model.readout.weight
        return SimpleNamespace(loss=(one * batch[None, :3]).sum() + (two * batch[None, 3:]).sum())


def test_noise_is_variance_over_the_square_of_the_mean() -> None:
    from attnkit.explore.hard_soft import gradient_noise

    gradients = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32) + 1
    found = gradient_noise(Spinning(list(gradients)), 6)  # type: ignore[arg-type]
    exact = gradients.astype(np.float64)
    spread, mean = exact.var(axis=0, ddof=1), exact.mean(axis=0)
    assert found.gradient_noise == pytest.approx(spread.sum() / (mean @ mean), rel=1e-5)
    assert found.attention_gradient_noise == pytest.approx(spread[:3].sum() / (mean[:3] @ mean[:3]), rel=1e-5)


def test_alignment_takes_both_directions(tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from attnkit.explore import alignment, explore

    monkeypatch.setattr(alignment, "VARIANTS", {"scaled dot": ["model.score=scaled-dot"]})
    notes: list[str] = []
    files = explore("alignment", tmp_path, notes.append, steps=2)
    assert [file.name for file in files] == ["alignment.png", "numbers.json"]
    assert notes[:2] == ["training scaled-dot-en-it", "training scaled-dot-it-en"]
    numbers = json.loads(files[1].read_text())
    rates = numbers["variants"]["scaled dot"]
    assert rates.keys() == {"english_to_italian", "italian_to_english", "both"}
    assert all(0.0 < rate <= 1.0 for rate in rates.values())
    assert 0.05 < alignment.one_link_error(en_it.corpus(0, 0, 500)["test"]) < 0.07


def test_unknown_experiments_are_refused() -> None:
    result = explore("telepathy")
    assert result.returncode == 2 and "expected an experiment (" in result.stderr and result.stderr.count("\n") == 1


def test_the_list_names_each() -> None:
    result = explore("--list")
    assert result.returncode == 0 and "positions" in result.stdout and "\nall " in result.stdout


@pytest.mark.parametrize("offset", [0, 1, 7])
def test_positions_shift_by_a_linear_map(offset: int) -> None:
    table = sinusoids(30 + offset, 16).astype(np.float64)
    np.testing.assert_allclose(table[:30] @ shift_matrix(16, offset).T, table[offset:], atol=2e-6)
    assert shift_error(30, 16, offset) < 2e-6


def test_classes_of_length_hold_every_pair_once() -> None:
    pairs = held_out(60)
    classes = by_length(pairs, (4, 6, 100))
    assert sum(len(members) for members in classes.values()) == 60
    for name, members in classes.items():
        low, high = map(int, name.split("-"))
        assert all(low <= len(pair.source.split()) <= high for pair in members)
