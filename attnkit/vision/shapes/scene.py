"""Scenes of one or two coloured shapes, drawn at random, and the caption of each.

    caption = "there is" thing | thing "is" relation thing
    thing   = "a" size colour shape

Two things stand clearly beside or clearly above each other. The one that catches the eye is the subject: the large one,
and of two of a size the left or upper one. So exactly one caption is right.

What captioners are tested on was never seen together in training. A fifth of all pairs of kinds, such as a red square
with a blue cross, is in no training scene, in whatever sizes and places: the split "test" has nothing else. And four
kinds themselves are in none: the split "novel" has at least one of them in each scene, which asks for more than to put
known things together.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "validation", "test", "novel"]

SIZES = {"small": 4.5, "large": 7.5}
"""Half the width of a thing, in pixels of a picture of `SIDE` pixels."""

COLOURS = {
    "red": (352, 368),
    "yellow": (48, 62),
    "green": (95, 145),
    "cyan": (172, 190),
    "blue": (214, 236),
    "purple": (272, 300),
}
"""The hues that a word covers, in degrees. How strong and how light a colour is has no word."""

SHAPES = ("circle", "square", "triangle", "cross")
INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
"""Each relation, and what it is when the two change places."""

NOVEL = frozenset({("red", "circle"), ("blue", "square"), ("yellow", "triangle"), ("green", "cross")})
"""The kinds, a colour with a shape, that no split has but "novel"."""

SIDE = 40
_MARGIN = 1.5  # pixels between a thing and the frame, or another thing
_HELD_OUT = 5  # one in this many pairs of kinds
_CLEARLY = 1.6  # how much longer the one distance is than the other where a relation holds


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape: its words, and its centre and half width in pixels."""

    size: str
    colour: str
    shape: str
    x: float
    y: float
    radius: float

    @property
    def kind(self) -> tuple[str, str]:
        return self.colour, self.shape

    @property
    def words(self) -> tuple[str, str, str]:
        return self.size, self.colour, self.shape

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius


@dataclass(frozen=True, slots=True)
class Caption:
    """Words, and for each the thing of the scene that it names, or None (articles, relations)."""

    words: tuple[str, ...]
    named: tuple[int | None, ...]

    @property
    def text(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a picture shows. `seed` decides what has no words: the background, and how exact the colours are."""

    things: tuple[Thing, ...]
    seed: int

    def caption(self) -> Caption:
        """The right caption."""
        if len(self.things) == 1:
            return _caption(("there", "is"), _mention(self.things, 0))
        relation = _relation(*self.things)
        first = 0 if relation in ("left of", "above") else 1
        if self.things[0].size != self.things[1].size:
            first = 0 if self.things[0].size == "large" else 1
        said = relation if first == 0 else INVERSE[relation]
        return _caption(_mention(self.things, first), ("is", *said.split()), _mention(self.things, 1 - first))


_Part = tuple[str, ...] | tuple[tuple[str, int | None], ...]


def _mention(things: tuple[Thing, ...], index: int) -> tuple[tuple[str, int | None], ...]:
    return (("a", None), *((word, index) for word in things[index].words))


def _caption(*parts: _Part) -> Caption:
    named = [entry if isinstance(entry, tuple) else (entry, None) for part in parts for entry in part]
    return Caption(tuple(word for word, _ in named), tuple(index for _, index in named))


def _relation(one: Thing, other: Thing) -> str:
    across, down = other.x - one.x, other.y - one.y
    if abs(across) > abs(down):
        return "left of" if across > 0 else "right of"
    return "above" if down > 0 else "below"


def split_of(things: tuple[Thing, ...]) -> Split:
    """Which split a scene with such things belongs to: "train" stands for "validation" as well."""
    kinds = sorted(thing.kind for thing in things)
    if NOVEL.intersection(kinds):
        return "novel"
    held_out = len(kinds) == 2 and zlib.crc32(repr(kinds).encode()) % _HELD_OUT == 0
    return "test" if held_out else "train"


def sample(split: Split, index: int, seed: int = 1) -> Scene:
    """Scene number `index` of a split: it depends on nothing else but `seed`."""
    draw = random.Random(f"shapes {seed} {split} {index}")
    wanted = "train" if split == "validation" else split
    while True:
        count = 1 if draw.random() < 0.15 else 2
        things = tuple(_thing(draw) for _ in range(count))
        if split_of(things) == wanted and _is_clear(things):
            return Scene(things, draw.getrandbits(32))


def _thing(draw: random.Random) -> Thing:
    size, colour = draw.choice(tuple(SIZES)), draw.choice(tuple(COLOURS))
    radius = SIZES[size] * draw.uniform(0.92, 1.08)
    low, high = radius + _MARGIN, SIDE - radius - _MARGIN
    return Thing(size, colour, draw.choice(SHAPES), draw.uniform(low, high), draw.uniform(low, high), radius)


def _is_clear(things: tuple[Thing, ...]) -> bool:
    """Whether a relation holds without doubt, and nothing overlaps."""
    if len(things) == 1:
        return True
    one, other = things
    across, down = abs(one.x - other.x), abs(one.y - other.y)
    apart = max(across, down) >= one.radius + other.radius + _MARGIN
    return apart and max(across, down) >= _CLEARLY * min(across, down)
