"""Pictures of scenes: smooth-edged shapes on a plain, shaded, striped, checked or grainy ground of dull colours."""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from attnkit.vision.shapes.scene import COLOURS, SIDE, Scene, Thing

Floats = npt.NDArray[np.float64]

_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE] + 0.5


def draw(scene: Scene) -> npt.NDArray[np.uint8]:
    """The picture, [SIDE, SIDE, 3]."""
    random = np.random.Generator(np.random.Philox(key=scene.seed))
    picture = _GROUNDS[int(random.integers(len(_GROUNDS)))](random)
    for thing in scene.things:
        colour = _colour(thing.colour, random)
        cover = coverage(thing)[:, :, None]
        picture = picture + (colour - picture) * cover
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _colour(name: str, random: np.random.Generator) -> Floats:
    """Some colour of that name, [3]: any of its hues, more or less strong and light."""
    hue, saturation, value = random.uniform(*COLOURS[name]), random.uniform(0.65, 1.0), random.uniform(0.7, 1.0)
    return 255.0 * np.asarray(colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value))


def coverage(thing: Thing) -> Floats:
    """The share of each pixel that the thing covers, [SIDE, SIDE]: its mask, from 0 to 1."""
    # The signed distance to the edge, negative inside, in pixels; half a pixel on either side is blended.
    distance = _DISTANCES[thing.shape](_COLUMNS - thing.x, _ROWS - thing.y, thing.radius)
    return np.clip(0.5 - distance, 0.0, 1.0)


# ----- Shapes: the distance from (x, y), measured from the centre, to the outline


def _circle(x: Floats, y: Floats, radius: float) -> Floats:
    return np.asarray(np.hypot(x, y) - radius)


def _square(x: Floats, y: Floats, radius: float) -> Floats:
    return np.maximum(np.abs(x), np.abs(y)) - 0.9 * radius


def _triangle(x: Floats, y: Floats, radius: float) -> Floats:
    # Standing on its base, as high as wide: two sides of slope 2.
    side: Floats = (2.0 * np.abs(x) - (y + radius)) / np.sqrt(5.0)
    return np.maximum(side, y - radius)


def _cross(x: Floats, y: Floats, radius: float) -> Floats:
    arm = radius / 3.0
    upright = np.maximum(np.abs(x) - arm, np.abs(y) - radius)
    level = np.maximum(np.abs(x) - radius, np.abs(y) - arm)
    return np.minimum(upright, level)


_DISTANCES: dict[str, Callable[[Floats, Floats, float], Floats]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
}


# ----- Grounds, [SIDE, SIDE, 3]


def _dull(random: np.random.Generator) -> Floats:
    """A colour near grey."""
    return random.uniform(70.0, 205.0) + random.uniform(-18.0, 18.0, 3)


def _plain(random: np.random.Generator) -> Floats:
    return np.broadcast_to(_dull(random), (SIDE, SIDE, 3)).copy()


def _mixed(random: np.random.Generator, share: Floats) -> Floats:
    """Two dull colours, not too far apart, mixed as `share` [SIDE, SIDE] says."""
    one = _dull(random)
    other = one + random.uniform(-45.0, 45.0)
    return one + (other - one) * share[:, :, None]


def _shaded(random: np.random.Generator) -> Floats:
    angle = random.uniform(0.0, 2 * np.pi)
    along = (np.cos(angle) * _COLUMNS + np.sin(angle) * _ROWS) / SIDE
    return _mixed(random, along)


def _striped(random: np.random.Generator) -> Floats:
    angle, width = random.uniform(0.0, np.pi), random.uniform(2.5, 6.0)
    along = (np.cos(angle) * _COLUMNS + np.sin(angle) * _ROWS) / width
    return _mixed(random, np.clip(0.5 + 2.0 * np.sin(np.pi * along), 0.0, 1.0))


def _checked(random: np.random.Generator) -> Floats:
    width = random.uniform(3.0, 8.0)
    return _mixed(random, ((_COLUMNS // width + _ROWS // width) % 2).astype(np.float64))


def _grainy(random: np.random.Generator) -> Floats:
    return _plain(random) + random.normal(0.0, 9.0, (SIDE, SIDE, 1))


_GROUNDS = (_plain, _shaded, _striped, _checked, _grainy)
