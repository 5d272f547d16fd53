"""The experiments on images: two steps of each, and what a glimpse is drawn as."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_experiments import make_tiny

from attnkit.explore import data, explore, glimpse
from attnkit.explore.glimpse_drawing import retina
from attnkit.models import GlimpseConfig, build_model


def test_glimpse_draws_its_path_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny(monkeypatch)
    monkeypatch.setattr(glimpse, "GLIMPSES", (1, 2))
    monkeypatch.setattr(glimpse, "_TESTED", 60)
    notes: list[str] = []
    files = explore("glimpse", tmp_path, notes.append, steps=2)
    assert [file.name for file in files] == ["glimpse.png", "numbers.json"]
    assert files[0].read_bytes()[:4] == b"\x89PNG"
    assert notes[:4] == [f"training {name}" for name in ("1-learned", "2-learned", "2-random", "cnn")]
    numbers = json.loads(files[1].read_text())
    accuracy = numbers["accuracy"]
    assert accuracy["learned places"].keys() == accuracy["random places"].keys() == {"1", "2"}
    assert accuracy["learned places"]["1"] == accuracy["random places"]["1"]
    assert 0.0 <= accuracy["convolutional network, whole image"] <= 100.0
    assert "expected learned places to be 10 points better" in numbers["warning"]


def test_data_compares_both_at_every_amount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny(monkeypatch)
    monkeypatch.setattr(data, "AMOUNTS", (30, 60))
    files = explore("data", tmp_path, lambda note: None, steps=2)
    assert [file.name for file in files] == ["data.png", "numbers.json"]
    numbers = json.loads(files[1].read_text())
    assert numbers["test_accuracy_by_images"].keys() == {"convolutional network", "Vision Transformer"}
    for shares in numbers["test_accuracy_by_images"].values():
        assert shares.keys() == {"30", "60"} and all(0.0 <= share <= 100.0 for share in shares.values())


def test_multiplications_of_a_glimpse() -> None:
    model = build_model(GlimpseConfig(size=4, scales=2, channels=1, width=8, hidden=6), 3)
    one = 32 * 8 + 2 * 8 + 8 * 8 + 8 * 8 + 3 * 6 * (8 + 6) + 2 * 6
    assert glimpse.multiplications(model, 1) == one + 18 and glimpse.multiplications(model, 3) == 3 * one + 18


def test_a_glimpse_is_drawn_sharp_in_the_middle() -> None:
    crops = np.stack([np.full((2, 2, 1), 9.0), np.arange(4.0).reshape(2, 2, 1)])
    assert retina(crops).tolist() == [[0, 0, 1, 1], [0, 9, 9, 1], [2, 9, 9, 3], [2, 2, 3, 3]]
