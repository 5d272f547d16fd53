"""Wrong captions, and where the captioner looked: attention helps to understand why a model fails.

The scenes have things of a colour and a shape that were never together in training: a red circle, a blue square, a
yellow triangle, a green cross. The captioner that describes other scenes rightly is wrong on most of these. Its
attention says which of two faults it is: it looked elsewhere, or it looked at the very thing and took it for another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attnkit.explore.failures_drawing import Failure, draw_failures
from attnkit.explore.laboratory import Laboratory
from attnkit.explore.soft_hard import describe, quality, train_captioner
from attnkit.tasks.caption.captioner import Caption
from attnkit.vision import shapes
from attnkit.vision.shapes.mistakes import KINDS, Mistake, mistakes

FEW_STEPS = 600
_TESTED = 300  # scenes of each split
_SHOWN = 6
_FLOOR = 70.0  # percent of known things described rightly, below which everything goes wrong


@dataclass(frozen=True)
class Wrong:
    """A wrong caption of a scene, and its wrong words, if it says as many things as there are."""

    scene: shapes.Scene
    caption: Caption
    words: Sequence[Mistake]

    def looked_at_it(self, word: Mistake) -> bool | None:
        """Whether the region with most attention touches the thing that the word misnames."""
        if word.thing is None or self.caption.attention is None:
            return None
        weights = self.caption.attention[word.place]
        region = shapes.touched(self.scene, word.thing, weights.shape)
        return bool(region[np.unravel_index(weights.argmax(), weights.shape)])


def run(laboratory: Laboratory) -> list[Path]:
    """Trains the captioner and lets it describe known things in new company, and things that are new."""
    captioner = train_captioner(laboratory, "soft")
    numbers: dict[str, Any] = {}
    for name in ("test", "novel"):
        scenes = shapes.scenes("test" if name == "test" else "novel", _TESTED)
        captions = describe(captioner, scenes)
        numbers[name] = quality(scenes, captions)
    wrong = [
        Wrong(scene, caption, mistakes(scene, caption.text.split()))
        for scene, caption in zip(scenes, captions, strict=True)
        if caption.text != scene.caption().text
    ]
    exact = numbers["test"]["exact"]
    laboratory.expect(exact >= _FLOOR, f"{_FLOOR:.0f} % right captions of things that are known, got {exact:.0f} %")
    counts = count(wrong)
    title = f"Things never seen in training: {len(wrong)} of {_TESTED} captions are wrong. Where did it look?"
    shown = [_failure(each) for each in chosen(wrong, _SHOWN)]
    figure = draw_failures(laboratory, title, shown, _summary(counts))
    found = {"wrong captions": len(wrong), "otherwise wrong": sum(not each.words for each in wrong)}
    listed = [_listed(each) for each in wrong]
    return [
        figure,
        laboratory.save({"captions": numbers, "novel scenes": found, "wrong words": counts, "all": {"of": listed}}),
    ]


def count(wrong: Sequence[Wrong]) -> dict[str, dict[str, float | None]]:
    """By kind of word: how many are wrong, and how many percent of them were written with the eye on the thing, and
    how many would be if it looked anywhere."""
    counts: dict[str, dict[str, float | None]] = {}
    for kind in KINDS:
        words = [(each, word) for each in wrong for word in each.words if word.kind == kind]
        hits = [hit for each, word in words if (hit := each.looked_at_it(word)) is not None]
        shares = [
            float(shapes.touched(each.scene, word.thing, each.caption.attention.shape[1:]).mean())
            for each, word in words
            if word.thing is not None and each.caption.attention is not None
        ]
        counts[kind] = {
            "words": len(words),
            "looked_at_the_thing": 100.0 * float(np.mean(hits)) if hits else None,
            "by_chance": 100.0 * float(np.mean(shares)) if shares else None,
        }
    return counts


def chosen(wrong: Sequence[Wrong], number: int) -> list[Wrong]:
    """So many to be shown: one that looked elsewhere, if there is one, then each a mistake that none before has."""
    readable = [each for each in wrong if each.words]
    elsewhere = [each for each in readable if any(each.looked_at_it(word) is False for word in each.words)]
    seen: set[tuple[str, str]] = set()
    first: list[Wrong] = []
    later: list[Wrong] = []
    for each in [*elsewhere[:1], *(each for each in readable if each not in elsewhere[:1])]:
        new = {(word.right, word.said) for word in each.words}
        (later if new <= seen else first).append(each)
        seen |= new
    return [*first, *later][:number]


def _summary(counts: dict[str, dict[str, float | None]]) -> list[str]:
    """A line for each kind of word."""
    lines = []
    for kind, figures in counts.items():
        hits, chance = figures["looked_at_the_thing"], figures["by_chance"]
        looked = "" if hits is None else f": {hits:.0f} % looked at the thing (by chance {chance:.0f} %)"
        lines.append(f"{figures['words']:.0f} wrong word{'' if figures['words'] == 1 else 's'} of {kind}{looked}")
    return lines


def _failure(wrong: Wrong) -> Failure:
    """As it is drawn."""
    assert wrong.caption.attention is not None
    return Failure(
        shapes.draw(wrong.scene),
        wrong.scene.caption().words,
        wrong.caption.text.split(),
        [(word.place, wrong.looked_at_it(word)) for word in wrong.words],
        wrong.caption.attention,
    )


def _listed(wrong: Wrong) -> dict[str, Any]:
    words = [
        {"said": word.said, "right": word.right, "kind": word.kind, "looked_at_the_thing": wrong.looked_at_it(word)}
        for word in wrong.words
    ]
    return {"expected": wrong.scene.caption().text, "written": wrong.caption.text, "wrong": words}
