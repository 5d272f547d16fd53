"""Which words of a wrong caption are wrong, and what they misname."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attnkit.vision.shapes.scene import COLOURS, INVERSE, SHAPES, SIZES, Scene

KINDS = ("size", "colour", "shape", "place")
_RELATIONS = {relation.split()[0]: relation for relation in INVERSE}


@dataclass(frozen=True, slots=True)
class Mistake:
    """place: of the word in the caption, from 0; thing: which of the scene's it misnames, None for a relation."""

    place: int
    kind: str
    said: str
    right: str
    thing: int | None


def mistakes(scene: Scene, words: Sequence[str]) -> list[Mistake]:
    """The wrong words of a caption. Two things may be told in either order, so that a caption which has the wrong
    subject and is true otherwise has none; nor has one that cannot be read, or tells of another number of things."""
    right = scene.caption()
    told, true = _mentions(words), _mentions(right.words)
    if len(told) != len(true):
        return []
    found = _compare(words, told, right.words, true, right.named)
    if len(true) == 2:
        turned = _compare(words, told, right.words, true[::-1], right.named)
        found = turned if len(turned) < len(found) else found
    return sorted(found, key=lambda mistake: mistake.place)


def _mentions(words: Sequence[str]) -> list[int]:
    """Where each thing's size stands."""
    return [
        place
        for place, (size, colour, shape) in enumerate(zip(words, words[1:], words[2:], strict=False))
        if size in SIZES and colour in COLOURS and shape in SHAPES
    ]


def _compare(
    words: Sequence[str], told: list[int], right: Sequence[str], true: list[int], named: Sequence[int | None]
) -> list[Mistake]:
    """The mistakes where the things that are told are the true ones in this order."""
    found = [
        Mistake(there + offset, KINDS[offset], words[there + offset], right[here + offset], named[here])
        for there, here in zip(told, true, strict=True)
        for offset in range(3)
        if words[there + offset] != right[here + offset]
    ]
    if len(true) == 2:
        place, said = _relation(words)
        _, wanted = _relation(right)
        wanted = wanted if true[0] < true[1] else INVERSE[wanted]
        if said != wanted:
            found.append(Mistake(place, "place", said, wanted, None))
    return found


def _relation(words: Sequence[str]) -> tuple[int, str]:
    """Where it stands, and what it is; the last word and nothing, where there is none."""
    for place, word in enumerate(words):
        if word in _RELATIONS:
            return place, _RELATIONS[word]
    return len(words) - 1, ""
