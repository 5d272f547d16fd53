"""How pictures become what a model reads: sizes, cuts, and what people see of it."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest
from pictures import gradient
from PIL import Image

from attnkit.models.config import written
from attnkit.vision import AugmentationConfig, Augmenter, Preprocessing


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float64)


def marked(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    """White on black."""
    picture = Image.new("RGB", (width, height))
    picture.paste("white", box)
    return picture


def test_a_configuration_without_new_keys_is_written_as_it_was() -> None:
    assert list(written(Preprocessing(size=8))) == ["size", "channels", "fit", "mean", "deviation"]
    more = Preprocessing(size=8, width=6, resize=(9,), middle="round", resampling="box", shortcuts=False)
    assert msgspec.convert(written(more), Preprocessing) == more


def test_the_middle_of_the_resized_picture_is_cut_out() -> None:
    prepare = Preprocessing(size=10, resize=(20,), shortcuts=False, resampling="nearest")
    wide = marked(40, 20, (15, 5, 25, 15))
    assert pixels(prepare.fitted(wide)).min() == 255  # not resized, and the middle is white
    assert pixels(prepare.fitted(marked(80, 40, (30, 10, 50, 30)))).min() == 255


def test_an_odd_number_of_pixels_is_cut_off_as_each_library_does() -> None:
    column = Image.fromarray(np.tile(np.arange(17, dtype=np.uint8)[:, None], (1, 10)))
    for middle, first in (("floor", 3), ("round", 4)):
        prepare = Preprocessing(size=10, channels=1, resize=(17, 10), fit="stretch", middle=middle)  # type: ignore[arg-type]
        assert prepare.pixels(prepare.fitted(column))[:, 0, 0].tolist() == list(range(first, first + 10))


def test_a_picture_too_small_for_the_cut_lies_on_black() -> None:
    prepare = Preprocessing(size=10, resize=(4, 6), fit="stretch", shortcuts=False)
    found = pixels(prepare.fitted(Image.new("RGB", (9, 9), "white")))
    assert found.shape == (10, 10, 3)
    assert found[3:7, 2:8].min() == 255 and found.sum() == 255 * 4 * 6 * 3
    shown = pixels(prepare.shown(Image.new("RGB", (9, 9), "white")))
    assert shown.shape == (256, 256, 3) and shown[0].max() == 0 and shown[128, 128].min() == 255


def test_rectangles() -> None:
    prepare = Preprocessing(size=6, width=12)
    assert prepare.shape == (6, 12)
    wide = prepare.fitted(gradient(90, 30))
    assert wide.size == (12, 6) and prepare.array(wide).shape == (6, 12, 3)
    assert prepare.shown(gradient(90, 30)).size == (256, 128)
    # Proportions stay: of 90 x 30 the model sees the middle 60 x 30.
    assert pixels(prepare.fitted(marked(90, 30, (15, 0, 75, 30))))[:, 1:-1].min() > 250
    assert pixels(prepare.fitted(marked(90, 30, (20, 0, 70, 30))))[:, 0].max() < 50


@pytest.mark.parametrize(
    "keys",
    [
        {}, {"fit": "stretch"}, {"resize": (9,)}, {"resize": (12, 11), "fit": "stretch"}, {"width": 12},
        {"width": 12, "resize": (13,)}, {"shortcuts": False, "resampling": "bilinear"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [(60, 44), (44, 60), (33, 32)])
def test_people_are_shown_what_the_model_sees(keys: dict[str, object], size: tuple[int, int]) -> None:
    prepare = Preprocessing(size=8, **keys)  # type: ignore[arg-type]
    picture = gradient(*size)
    seen, shown = prepare.fitted(picture), prepare.shown(picture)
    small = pixels(shown.resize(seen.size, Image.Resampling.BOX))
    assert np.abs(small - pixels(seen)).mean() < 6


def test_a_thin_strip_needs_no_memory_of_its_own_kind() -> None:
    prepare = Preprocessing(size=64, resize=(64,), shortcuts=False)
    strip = Image.new("RGB", (1_000_000, 1), "white")
    assert pixels(prepare.fitted(strip)).min() == 255 and prepare.shown(strip).size == (256, 256)


def test_filters_differ() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8))
    names = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
    found = [pixels(Preprocessing(size=9, resampling=name).fitted(noise)) for name in names]  # type: ignore[arg-type]
    assert all(np.abs(a - b).max() > 1 for i, a in enumerate(found) for b in found[:i])


@pytest.mark.parametrize(
    "table",
    [
        {"size": 8, "resize": []}, {"size": 8, "resize": [8, 8]}, {"size": 8, "resize": [8], "fit": "stretch"},
        {"size": 8, "resize": [0]}, {"size": 8, "width": 0}, {"size": 8, "width": 5000}, {"size": 8, "middle": "up"},
        {"size": 8, "resampling": "sinc"}, {"size": 8, "shortcuts": 1},
    ],
)  # fmt: skip
def test_keys_that_make_no_sense(table: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Preprocessing)


@pytest.mark.parametrize("option", [{"crop": 0.3}, {"shift": 4}, {"operations": 2}, {"erase": 1.0}, {"flip": True}])
def test_rectangles_are_augmented(option: dict[str, object]) -> None:
    prepare = Preprocessing(size=12, width=20, shortcuts=False, resampling="bilinear")
    augment = Augmenter(AugmentationConfig(**option), prepare)  # type: ignore[arg-type]
    found = [augment(gradient(60, 44), random.Random(seed)) for seed in range(8)]
    assert {each.shape for each in found} == {(12, 20, 3)}
    assert any(not np.array_equal(each, pixels(prepare.fitted(gradient(60, 44)))) for each in found)
