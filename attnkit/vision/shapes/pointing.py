"""Pointing accuracy: does the attention of a word fall on what the word names?

The pointing game of Zhang et al. (2018), with a known region for every content word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from attnkit.vision.shapes.scene import SIDE, Scene


@dataclass(frozen=True, slots=True)
class Pointing:
    """Over all content words (size, colour, shape) of the captions that are right:

    accuracy: how often the region with most attention touches the thing that the word names, in percent.
    mass: the share of attention in the regions that touch it, in percent.
    chance: the share of regions that touch it, in percent: what attention without aim would give for both.
    words: how many there are.
    """

    accuracy: float
    mass: float
    chance: float
    words: int


class Described(Protocol):
    """A caption with its attention: `attnkit.tasks.caption.captioner.Caption`."""

    @property
    def text(self) -> str: ...
    @property
    def attention(self) -> npt.NDArray[np.float32] | None: ...


def measure_pointing(scenes: Sequence[Scene], captions: Sequence[Described]) -> Pointing:
    """The pointing of captions, one for each scene, of which the right ones count.

    Their tokens are words, and their attention, [words, rows, columns], is over a grid that covers the picture. Raises
    ValueError for a right caption without attention for each of its words.
    """
    hits, masses, chances = [], [], []
    for scene, described in zip(scenes, captions, strict=True):
        caption = scene.caption()
        if described.text != caption.text:
            continue
        maps = described.attention
        if maps is None or maps.ndim != 3 or len(maps) != len(caption.words):
            got = "none" if maps is None else list(maps.shape)
            raise ValueError(f"[pointing] expected attention [{len(caption.words)}, rows, columns], got {got}")
        regions = [touched(scene, index, maps.shape[1:]) for index in range(len(scene.things))]
        for named, of_word in zip(caption.named, maps, strict=True):
            if named is not None:
                region = regions[named]
                hits.append(bool(region[np.unravel_index(of_word.argmax(), of_word.shape)]))
                masses.append(float(of_word[region].sum() / of_word.sum()))
                chances.append(float(region.mean()))
    if not hits:
        return Pointing(0.0, 0.0, 0.0, 0)
    return Pointing(100 * float(np.mean(hits)), 100 * float(np.mean(masses)), 100 * float(np.mean(chances)), len(hits))


def touched(scene: Scene, index: int, grid: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """The regions of a grid [rows, columns] that share area with a thing's box."""
    rows, columns = grid
    left, top, right, bottom = (edge / SIDE for edge in scene.things[index].box)
    across, down = np.arange(columns) / columns, np.arange(rows) / rows
    beside = (across < right) & (across + 1 / columns > left)
    within = (down < bottom) & (down + 1 / rows > top)
    return within[:, None] & beside[None, :]
