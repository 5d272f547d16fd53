"""Without attention, where the decoder finds the source: as its first state, at every step, both, or with blank inputs.

A vector that is only the first state is soon overwritten by what is written; beside every input it stays (Cho et al.,
2014). With blank inputs one network is unfolded over source and target: it reads blanks as it writes, so that it does
not know its own last word, and does not really work. Given the true words before it, the curves say how often each
word of the target is right; `attention` looks at the whole source at every step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnkit.explain.drawing.chart import BLUE, GREEN, GREY, ORANGE, PURPLE, BarPanel, Curve, CurvePanel
from attnkit.explore import reversal
from attnkit.explore.laboratory import Laboratory, bleu, forced_hits, held_out

_FIXED = ["model.score=none", *reversal.ONE_WAY]
VARIANTS = {
    "attention": ["model.score=additive", *reversal.ONE_WAY],
    "first state": [],  # as `reversal` trains it, reading forwards
    "every step": [*_FIXED, "model.context=every-step"],
    "both": [*_FIXED, "model.context=both"],
    "blank inputs": [*_FIXED, "model.share_weights=true", "model.blank_inputs=true"],
}
_COLOURS = dict(zip(VARIANTS, (BLUE, ORANGE, GREEN, PURPLE, GREY), strict=True))
_PAIRS = 2000
_PLACES = 10  # of the target that are drawn
_FLOOR = 40.0


def run(laboratory: Laboratory) -> list[Path]:
    """Trains each, and counts the words that are right by their place in the target."""
    pairs = held_out(_PAIRS)
    numbers: dict[str, dict[str, Any]] = {}
    for name, overrides in VARIANTS.items():
        overrides = overrides or reversal.overrides(laboratory, "forwards")
        translator = laboratory.train(name.replace(" ", "-"), "en-it-recurrent", overrides)
        hits = forced_hits(translator, pairs)
        numbers[name] = {"bleu": bleu(translator, pairs), "accuracy_by_place": by_place(hits, _PLACES)}
    best = numbers["attention"]["bleu"]
    laboratory.expect(best >= _FLOOR, f"a BLEU of {_FLOOR:.0f} with attention, got {best:.1f}")
    return [_draw(laboratory, numbers), laboratory.save({"variants": numbers})]


def by_place(hits: Sequence[np.ndarray], places: int) -> dict[int, float]:
    """The share, in percent, of the words at each place from 1 that are right."""
    found = {}
    for place in range(places):
        there = [each[place] for each in hits if len(each) > place]
        if there:
            found[place + 1] = 100.0 * float(np.mean(there))
    return found


def _draw(laboratory: Laboratory, numbers: Mapping[str, Mapping[str, Any]]) -> Path:
    curves = [
        Curve(name, [(float(x), y) for x, y in figures["accuracy_by_place"].items()], _COLOURS[name], dots=True)
        for name, figures in numbers.items()
    ]
    bars = [(name, figures["bleu"]) for name, figures in numbers.items()]
    title = "Right words (%) by their place in the target, the words before being given"
    ticks = [(float(place), str(place)) for place in range(1, _PLACES + 1)]
    places = CurvePanel(title, curves, "place in the target", False, (0.0, 100.0), ticks=ticks)
    return laboratory.draw(
        "context.png",
        "Where a decoder finds the source",
        [[places], [BarPanel("BLEU", bars, colours=list(_COLOURS.values()), full=100.0)]],
        heights=(1.7, 1.0),
    )
