"""Scores, normalisers and functions of a user's own, in code and named by a configuration."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import pytest
from closeness import numeric_gradients

import attnkit
from attnkit import nn
from attnkit.models.own_classes import own_class
from attnkit.models.recurrent import Recurrent
from attnkit.models.recurrent_config import RecurrentConfig

EXAMPLES = Path(__file__).parents[2] / "examples"
OWN = {"score_class": "own_attention:TanhScore", "normaliser_class": "own_attention:Sparsemax"}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The example's module, imported."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import own_attention  # type: ignore[import-not-found]

    yield own_attention
    sys.modules.pop("own_attention", None)


def test_a_configuration_names_them_and_config_json_of_others_stays_as_it_was(own: ModuleType) -> None:
    config = msgspec.convert({"type": "recurrent", "hidden_size": 8, "embedding_size": 8, **OWN}, RecurrentConfig)
    attention = Recurrent(config, 20, 20).decoder.attention
    assert attention is not None
    assert isinstance(attention.score, own.TanhScore)
    assert isinstance(attention.normaliser, own.Sparsemax)
    from attnkit.models.config import written

    assert "score_class" not in written(RecurrentConfig())


def test_a_name_imports_nothing_that_its_user_has_not_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "hostile_attention.py").write_text("raise SystemExit('it ran')\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="expected hostile_attention imported first, or named by ATTNKIT_IMPORT=host"):
        own_class("hostile_attention:Score", nn.Score, "score_class")
    monkeypatch.setenv("ATTNKIT_IMPORT", "json, missing_attention")
    with pytest.raises(ValueError, match="expected a module missing_attention to import, got: No module named"):
        own_class("missing_attention:Score", nn.Score, "score_class")
    with pytest.raises(ValueError, match=r"score_class: expected a subclass of nn\.Score in json, got JSONDecoder"):
        own_class("json:JSONDecoder", nn.Score, "score_class")


@pytest.mark.parametrize("name", ["os.system", "a:b:c", "a/b:c", "", ":x", "a b:c"])
def test_a_name_is_a_module_and_a_class(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"type": "recurrent", "score_class": name}, RecurrentConfig)


def test_they_train_and_load_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNKIT_IMPORT", "own_attention")
    sets = [f"model.{key}={value}" for key, value in OWN.items()]
    sets += ["model.hidden_size=16", "model.embedding_size=16", "training.max_steps=2", "training.warmup_steps=1"]
    sets += ["data.builtin_train=200", "data.builtin_held_out=4", "tokenizer.vocab_size=300"]
    options = [part for each in sets for part in ("--set", each)]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "attnkit.cli.main", *arguments]
        return subprocess.run(command, cwd=EXAMPLES, input="the cat\n", capture_output=True, text=True, timeout=300)

    trained = run("train", "en-it-recurrent", "--out", str(tmp_path / "run"), *options)
    assert trained.returncode == 0, trained.stderr
    assert run("translate", str(tmp_path / "run")).returncode == 0
    monkeypatch.delenv("ATTNKIT_IMPORT")
    refused = run("translate", str(tmp_path / "run"))
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "ATTNKIT_IMPORT=own_attention" in refused.stderr


def test_sparsemax_is_a_projection_whose_gradient_is_right(own: ModuleType) -> None:
    lengths = np.array([3, 1, 5])
    per_pair = np.repeat(lengths, lengths)
    scores = np.random.default_rng(0).standard_normal(9)

    def formula(x: np.ndarray) -> np.ndarray:
        rows = []
        for row in np.split(x, np.cumsum(lengths)[:-1]):
            low, high = row.min() - 1.0, row.max()
            for _ in range(200):  # the threshold at which what is above it sums to one, by halving
                middle = (low + high) / 2
                low, high = (middle, high) if np.maximum(row - middle, 0).sum() > 1 else (low, middle)
            rows.append(np.maximum(row - high, 0.0))
        return np.concatenate(rows)

    x = attnkit.tensor(scores.astype(np.float32), requires_grad=True)
    weights: Any = own.SparsemaxFunction.apply(x, per_pair)
    np.testing.assert_allclose(weights.numpy(), formula(scores), atol=1e-6)
    upstream = np.random.default_rng(1).standard_normal(9).astype(np.float32)
    weights.backward(upstream)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, numeric_gradients(formula, [scores], upstream)[0], atol=1e-4)
