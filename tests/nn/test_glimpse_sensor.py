"""The glimpse sensor: every pixel by its formula, inside the image and beyond its edges; no gradient."""

from __future__ import annotations

import re

import numpy as np
import pytest

import attnkit
from attnkit import nn


def expected(images: np.ndarray, places: np.ndarray, size: int, scales: int) -> np.ndarray:
    """[B, scales, size, size, C], pixel by pixel in float64."""
    count, height, width, channels = images.shape
    result = np.zeros((count, scales, size, size, channels))
    for image in range(count):
        for scale in range(scales):
            block = 2**scale
            top, left = (
                round((float(place) + 1) / 2 * side - size * block / 2)
                for place, side in zip(places[image], (height, width), strict=True)
            )
            for row in range(size * block):
                for column in range(size * block):
                    y, x = top + row, left + column
                    if 0 <= y < height and 0 <= x < width:
                        result[image, scale, row // block, column // block] += images[image, y, x] / block**2
    return result


@pytest.mark.parametrize(("size", "scales", "shape"), [(4, 3, (17, 13, 3)), (3, 2, (10, 12, 1)), (5, 1, (4, 3, 2))])
def test_crops_equal_the_formula(size: int, scales: int, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    images = random.standard_normal((6, *shape)).astype(np.float32)
    places = random.uniform(-1, 1, (6, 2)).astype(np.float32)
    places[:3] = [[-1, -1], [1, 1], [0, 0]]
    sensor = nn.GlimpseSensor(size, scales)
    crops = sensor.crops(images, places)
    np.testing.assert_allclose(crops, expected(images, places, size, scales), rtol=0, atol=1e-6)
    flat = sensor(attnkit.tensor(images), places)
    assert np.array_equal(flat.numpy(), crops.reshape(6, -1)) and not flat.requires_grad
    assert not sensor(attnkit.tensor(images, requires_grad=True), places).requires_grad


def test_places_beyond_the_edge_are_at_the_edge() -> None:
    images = np.random.default_rng(2).standard_normal((1, 9, 9, 1)).astype(np.float32)
    sensor = nn.GlimpseSensor(4, 2)
    beyond, edge = np.array([[-3.0, 2.0]]), np.array([[-1.0, 1.0]])
    assert np.array_equal(sensor.crops(images, beyond), sensor.crops(images, edge))


def test_what_does_not_fit_is_refused() -> None:
    sensor = nn.GlimpseSensor(4, 2)
    with pytest.raises(ValueError, match=re.escape("expected images of shape [B, H, W, C], got [8, 8]")):
        sensor(np.zeros((8, 8), np.float32), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=re.escape("expected places of shape [2, 2], got (1, 2)")):
        sensor(np.zeros((2, 8, 8, 1), np.float32), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="expected a size and scales of at least 1, got 0 and 2"):
        nn.GlimpseSensor(0, 2)
