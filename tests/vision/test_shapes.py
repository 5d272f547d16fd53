"""The built-in scenes: what is drawn is what the caption says, held-out pairs are held out, pointing is measured."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from attnkit.vision import shapes
from attnkit.vision.shapes.scene import COLOURS, INVERSE, SHAPES, SIDE, SIZES, Scene, Thing


def test_captions_say_what_the_scene_shows() -> None:
    assert Scene((Thing("small", "red", "square", 9, 9, 4),), 1).caption().text == "there is a small red square"
    left, right = Thing("small", "red", "square", 8, 20, 4), Thing("small", "blue", "cross", 30, 22, 4)
    caption = Scene((left, right), 1).caption()
    assert caption.text == "a small red square is left of a small blue cross"
    assert caption.named == (None, 0, 0, 0, None, None, None, None, 1, 1, 1)
    assert Scene((right, left), 1).caption().named == (None, 1, 1, 1, None, None, None, None, 0, 0, 0)
    large = Thing("large", "blue", "cross", 30, 22, 8)
    assert Scene((left, large), 1).caption().text == "a large blue cross is right of a small red square"
    below = Thing("large", "cyan", "circle", 10, 33, 7)
    assert Scene((below, left), 1).caption().text == "a large cyan circle is below a small red square"
    above = Thing("small", "cyan", "circle", 10, 33, 7)
    assert Scene((above, left), 1).caption().text == "a small red square is above a small cyan circle"


def test_splits_are_fixed_and_hold_out_what_they_say() -> None:
    for split in ("train", "validation", "test", "novel"):
        scenes = shapes.scenes(split, 300)  # type: ignore[arg-type]
        assert scenes[:50] == shapes.scenes(split, 50) != shapes.scenes(split, 50, seed=2)  # type: ignore[arg-type]
        for scene in scenes:
            assert any(thing.kind in shapes.NOVEL for thing in scene.things) == (split == "novel")
    pairs = {split: set() for split in ("train", "validation", "test")}  # type: ignore[var-annotated]
    for split, seen in pairs.items():
        for scene in shapes.scenes(split, 2000):  # type: ignore[arg-type]
            if len(scene.things) == 2:
                seen.add(tuple(sorted(thing.kind for thing in scene.things)))
    assert not pairs["test"] & (pairs["train"] | pairs["validation"])
    assert len(pairs["test"]) / 210 == pytest.approx(0.2, abs=0.05)
    known = set(itertools.product(COLOURS, SHAPES)) - shapes.NOVEL
    assert {kind for pair in pairs["train"] for kind in pair} == known  # each kind with others
    assert {kind for pair in pairs["test"] for kind in pair} == known
    words = {word for scene in shapes.scenes("train", 300) for word in scene.caption().words}
    assert words == {*SIZES, *COLOURS, *SHAPES, "a", "is", "there", *" ".join(INVERSE).split()}
    with pytest.raises(ValueError, match="expected at least 1 scene"):
        shapes.scenes("train", 0)


def test_things_are_apart_and_inside() -> None:
    for scene in shapes.scenes("test", 300):
        for thing in scene.things:
            assert min(thing.box) > 0 and max(thing.box) < SIDE
        covers = [shapes.coverage(thing) for thing in scene.things]
        assert all(cover.sum() > 12 for cover in covers)
        assert np.prod(covers, axis=0).max() == 0 or len(covers) == 1


def test_pictures_show_the_colours_where_the_masks_are() -> None:
    import colorsys

    for scene in shapes.scenes("validation", 100):
        picture = shapes.draw(scene)
        assert picture.shape == (SIDE, SIDE, 3) and np.array_equal(picture, shapes.draw(scene))
        for thing in scene.things:
            inside = picture[shapes.coverage(thing) == 1.0].reshape(-1, 3).astype(float)
            assert len(inside) and np.ptp(inside, axis=0).max() <= 1  # one colour
            hue = 360 * colorsys.rgb_to_hsv(*(inside[0] / 255))[0]
            low, high = COLOURS[thing.colour]
            assert low - 1 <= hue <= high + 1 or low - 1 <= hue + 360 <= high + 1


def test_a_mask_has_the_area_of_its_shape() -> None:
    radius = 7.0
    areas = {"circle": np.pi * radius**2, "square": (1.8 * radius) ** 2, "triangle": 2 * radius**2,
             "cross": 20 / 9 * radius**2}  # fmt: skip
    for shape in SHAPES:
        covered = shapes.coverage(Thing("large", "red", shape, 20.3, 19.6, radius)).sum()
        assert covered == pytest.approx(areas[shape], rel=0.03)


@dataclass
class Described:
    text: str
    attention: np.ndarray | None


def test_pointing_counts_the_words_whose_attention_falls_on_the_thing() -> None:
    scene = Scene((Thing("small", "red", "square", 8, 8, 4), Thing("small", "blue", "cross", 32, 8, 4)), 1)
    caption = scene.caption()
    maps = np.zeros((11, 4, 4), np.float32)
    maps[:, 3, 3] = 1.0  # no thing is there
    for word, column in ((1, 0), (2, 0), (3, 1), (8, 3), (9, 3)):
        maps[word] = 0.0
        maps[word, 0, column] = 0.75
        maps[word, 3, 0] = 0.25
    result = shapes.measure_pointing([scene], [Described(caption.text, maps)])
    # Regions of 10 pixels: the ring (4 to 12) touches columns 0 and 1 of rows 0 and 1, the cross (28 to 36) 2 and 3.
    assert result.words == 6 and result.accuracy == pytest.approx(100 * 5 / 6)
    assert result.mass == pytest.approx(100 * 5 * 0.75 / 6) and result.chance == pytest.approx(25.0)
    assert shapes.measure_pointing([scene], [Described("a wrong caption", maps)]).words == 0
    with pytest.raises(ValueError, match=r"expected attention \[11, rows, columns\], got \[10, 4, 4\]"):
        shapes.measure_pointing([scene], [Described(caption.text, maps[:10])])
    with pytest.raises(ValueError, match="got none"):
        shapes.measure_pointing([scene], [Described(caption.text, None)])


def test_as_image_data() -> None:
    data = shapes.data("test", 5)
    assert len(data) == 5 and data.labels is None
    assert data.captions == [(scene.caption().text,) for scene in shapes.scenes("test", 5)]
    assert np.array_equal(np.asarray(data.pictures.get(2, 3, 0)), shapes.draw(shapes.sample("test", 2)))
