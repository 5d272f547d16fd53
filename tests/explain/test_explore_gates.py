"""The experiments on gates: what they count, by hand, and that they draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attnkit.explore import excitation, explore, gates
from attnkit.models.cnn import CNN
from attnkit.models.cnn_config import CNNConfig


def test_depths_are_those_of_the_brackets() -> None:
    assert gates.depths("a(b(c))d").tolist() == [0, 1, 1, 2, 2, 1, 0, 0]


def test_texts_close_only_what_was_opened_and_use_all_depths() -> None:
    texts = gates.draw_texts(np.random.default_rng(0), 300)
    found = np.concatenate([gates.depths(text) for text in texts])
    assert set(found.tolist()) == set(range(7)) and all(len(text) == 32 for text in texts)
    letters = sum(text.count(letter) for text in texts for letter in "abcdefgh")
    assert 0.45 < letters / found.size < 0.55


def test_the_gates_that_are_measured_are_those_at_the_symbols() -> None:
    reader = gates.Reader(10, 4, 7)
    texts = ["a(b)", "((c)"]
    measured = gates.measure(reader, texts)
    one = gates.gates_of(reader, np.array([0, 8, 1, 9], np.int32), np.array([0, 4], np.int32))
    two = gates.gates_of(reader, np.array([8, 8, 2, 9], np.int32), np.array([0, 4], np.int32))
    opens = np.concatenate([one["forget"][:, [1]], two["forget"][:, [0, 1]]], axis=1)
    assert measured["by_symbol"]["forget"]["opens"] == pytest.approx(opens.mean(), rel=1e-5)
    unit = np.concatenate([one["input"][2], two["input"][2]])
    expected = np.corrcoef(unit, [0, 1, 1, 0, 1, 2, 2, 1])[0, 1]
    assert measured["correlation"]["input"][2] == pytest.approx(expected, rel=1e-4)
    best = measured["of_the_deepest"]
    everything = np.abs([measured["correlation"][gate] for gate in gates.GATES])
    assert abs(best["correlation"]) == pytest.approx(everything.max())


def test_explained_variance_is_all_or_nothing_where_it_must_be() -> None:
    labels = np.repeat(np.arange(12), 6)
    colour = labels // 4  # 3 colours of 4 shapes each
    of_colour = np.stack([colour, 2.0 * colour], axis=1)
    assert excitation.explained(of_colour, labels) == pytest.approx({"class": 100.0, "colour": 100.0, "shape": 0.0})
    of_shape = (labels % 4).astype(np.float64)[:, None]
    assert excitation.explained(of_shape, labels) == pytest.approx({"class": 100.0, "colour": 0.0, "shape": 100.0})
    of_neither = np.tile(np.arange(6.0), 12)[:, None]
    assert excitation.explained(of_neither, labels) == pytest.approx({"class": 0.0, "colour": 0.0, "shape": 0.0})


def test_the_gates_of_blocks_are_the_module_s() -> None:
    model = CNN(CNNConfig(widths=(4, 6), blocks=1, squeeze_excitation=True), 12)
    model.eval()
    images, labels = excitation.pictures(1, 3)
    found, right = excitation.gates_of(model, images, labels)
    assert {name: gate.shape for name, gate in found.items()} == {
        "stage 1, block 1": (12, 4),
        "stage 2, block 1": (12, 6),
    }
    assert all((gate > 0.0).all() and (gate < 1.0).all() for gate in found.values())
    np.testing.assert_allclose(
        excitation.class_means(found["stage 1, block 1"], labels), found["stage 1, block 1"], rtol=1e-6
    )
    assert 0.0 <= right <= 100.0


@pytest.mark.parametrize(
    ("name", "figures"), [("gates", ["gates.png", "sentence.png"]), ("excitation", ["excitation.png"])]
)
def test_two_steps_draw_and_say_that_they_show_nothing(
    name: str, figures: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(excitation, "_DRAWN", 3)
    monkeypatch.setattr(excitation, "_TESTED", 2)
    notes: list[str] = []
    files = explore(name, tmp_path, notes.append, steps=2)
    assert [file.name for file in files] == [*figures, "numbers.json"]
    numbers = json.loads(files[-1].read_text())
    assert f"warning: {numbers['warning']}" in notes
    assert numbers["steps"] == 2
