"""The built-in digits: fixed by the seed, whatever the count; the digit is where it is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from attnkit.vision import digits


def test_an_image_depends_on_its_number_and_the_seed_alone() -> None:
    pixels, labels, corners = digits.draw("train", 510)
    few = digits.draw("train", 3)
    for all_of_it, first in zip((pixels, labels, corners), few, strict=True):
        assert np.array_equal(all_of_it[:3], first)
    assert not np.array_equal(few[0], digits.draw("test", 3)[0])
    assert not np.array_equal(few[0], digits.draw("train", 3, seed=2)[0])
    assert pixels.shape == (510, digits.SIDE, digits.SIDE) and pixels.dtype == np.uint8
    assert len(np.unique(pixels.reshape(510, -1), axis=0)) == 510
    assert np.bincount(labels, minlength=10).min() > 30
    assert corners.min() >= 0 and corners.max() <= digits.SIDE - digits.PATCH


def test_the_digit_is_where_it_is_said_to_be() -> None:
    pixels, _, corners = digits.draw("validation", 50)
    for image, (top, left) in zip(pixels, corners, strict=True):
        patch = image[top : top + digits.PATCH, left : left + digits.PATCH]
        assert (patch > 128).sum() > 20
    ink = digits.draw_digits(np.arange(10), np.random.default_rng(1))
    assert ink.shape == (10, digits.PATCH, digits.PATCH) and ink.min() == 0.0 and ink.max() == 1.0
    edge = np.concatenate([ink[:, 0], ink[:, -1], ink[:, :, 0], ink[:, :, -1]], axis=1)
    assert edge.max() < 0.5  # whole, inside its square


def test_as_image_data() -> None:
    data = digits.data("test", 4)
    _, labels, _ = digits.draw("test", 4)
    assert len(data) == 4 and data.labels == [str(label) for label in labels] and data.captions is None
    with pytest.raises(ValueError, match="expected at least 1 image, got 0"):
        digits.draw("train", 0)
    with pytest.raises(ValueError, match="expected a split among train, validation, test, got 'novel'"):
        digits.draw("novel", 1)
