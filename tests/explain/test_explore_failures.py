"""Soft and hard maps side by side, and wrong captions: two steps of each experiment, and what they count."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attnkit.explore import explore, failures, soft_hard
from attnkit.explore.failures import Wrong, chosen, count
from attnkit.tasks.caption.captioner import Caption
from attnkit.vision.shapes import Scene, Thing
from attnkit.vision.shapes.mistakes import Mistake, mistakes


def size(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size


def test_soft_and_hard_look_at_the_same_words(tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soft_hard, "_TESTED", 12)
    notes: list[str] = []
    files = explore("soft-hard", tmp_path, notes.append, steps=2)
    assert [file.name for file in files] == ["sentence.png", "picture.png", "numbers.json"]
    assert all(size(file) == (2240, 1260) for file in files[:2])
    assert notes[:4] == [f"training {name}" for name in ("soft", "hard-reinforce", "captioner-soft", "captioner-hard")]
    numbers = json.loads(files[-1].read_text())
    assert "expected with both a BLEU of 40, 10 % of the captions right" in numbers["warning"]
    soft, hard = (np.array(numbers["picture"][kind]["map"]) for kind in ("soft", "hard"))
    assert soft.shape == hard.shape and len(soft) == len(numbers["picture"]["soft"]["words"])
    np.testing.assert_allclose(soft.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    assert set(np.unique(hard)) == {0.0, 1.0} and (hard.sum(axis=(1, 2)) == 1.0).all()
    assert all(0.0 < gate < 1.0 for kind in ("soft", "hard") for gate in numbers["picture"][kind]["gates"])
    rows = {kind: np.array(numbers["sentence"][kind]["map"]) for kind in ("soft", "hard")}
    assert rows["soft"].shape == rows["hard"].shape and set(np.unique(rows["hard"])) <= {0.0, 1.0}
    assert len(np.unique(rows["soft"])) > 2


def test_failures_lists_every_wrong_caption(tmp_path: Path, tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_TESTED", 12)
    files = explore("failures", tmp_path, lambda note: None, steps=2)
    assert [file.name for file in files] == ["failures.png", "numbers.json"]
    assert size(files[0]) == (2240, 1260)
    numbers = json.loads(files[-1].read_text())
    listed = numbers["all"]["of"]
    assert len(listed) == numbers["novel scenes"]["wrong captions"] > 0
    assert all(each["expected"] != each["written"] for each in listed)
    words = [word for each in listed for word in each["wrong"]]
    assert {kind: figures["words"] for kind, figures in numbers["wrong words"].items()} == {
        kind: sum(word["kind"] == kind for word in words) for kind in ("size", "colour", "shape", "place")
    }
    assert "expected 70 % right captions" in numbers["warning"]


RING = Thing("large", "red", "circle", 8, 8, 6)
CROSS = Thing("small", "blue", "cross", 32, 8, 4)
SCENE = Scene((RING, CROSS), 1)  # a large red circle is left of a small blue cross


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("a large red circle is left of a small blue cross", []),
        ("a large red cross is left of a small blue cross", [Mistake(3, "shape", "cross", "circle", 0)]),
        (
            "a large cyan circle is above a large blue cross",
            [
                Mistake(2, "colour", "cyan", "red", 0),
                Mistake(5, "place", "above", "left of", None),
                Mistake(7, "size", "large", "small", 1),
            ],
        ),
        ("a small blue cross is right of a large red circle", []),  # true, and of the wrong subject
        (
            "a small blue square is left of a large red circle",
            [Mistake(3, "shape", "square", "cross", 1), Mistake(5, "place", "left of", "right of", None)],
        ),
        ("there is a large red circle", []),  # another number of things
        ("", []),
    ],
)
def test_the_words_that_are_wrong(said: str, wrong: list[Mistake]) -> None:
    assert mistakes(SCENE, said.split()) == wrong


def _wrong(said: str, row: int, column: int) -> Wrong:
    """A caption whose every word looks at one region of 4 x 4."""
    words = said.split()
    maps = np.zeros((len(words), 4, 4), np.float32)
    maps[:, row, column] = 1.0
    return Wrong(SCENE, Caption(said, 0.0, words, maps), mistakes(SCENE, words))


def test_a_wrong_word_is_on_its_thing_or_elsewhere() -> None:
    said = "a large red cross is left of a small blue cross"
    on, off = _wrong(said, 0, 0), _wrong(said, 3, 3)
    counts = count([on, off, off, _wrong("a large red circle is above a small blue cross", 0, 0)])
    # Regions of 10 pixels: the circle (2 to 14) touches columns 0 and 1 of rows 0 and 1, 4 of 16.
    assert counts["shape"] == {"words": 3, "looked_at_the_thing": pytest.approx(100 / 3), "by_chance": 25.0}
    assert counts["place"] == {"words": 1, "looked_at_the_thing": None, "by_chance": None}
    assert counts["colour"]["words"] == 0


def test_each_shown_failure_is_new_and_one_looked_elsewhere() -> None:
    shape, colour = (
        "a large red cross is left of a small blue cross",
        "a large red circle is left of a small cyan cross",
    )
    on, again, other, off = _wrong(shape, 0, 0), _wrong(shape, 0, 0), _wrong(colour, 0, 3), _wrong(shape, 3, 3)
    unreadable = _wrong("a a a", 0, 0)
    assert chosen([on, unreadable, again, other, off], 2) == [off, other]
    assert chosen([on, unreadable, again, other, off], 9) == [off, other, on, again]
