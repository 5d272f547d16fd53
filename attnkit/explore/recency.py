"""A fixed vector remembers best what it read last: which words of the source arrive, by their position.

An encoder of one direction reads the source forwards or backwards into one vector, which the decoder reads beside every
word, so that it cannot forget it: each reader does better than the other at the end of the sentence that it read last,
and attention reads all of it alike. A source word has arrived where its own translation is the model's choice, the true
words before it being given. Only words with a meaning of their own count: those that make up less than 1 % of the
target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from attnkit.explain.drawing.chart import BLUE, GREEN, ORANGE, Curve, CurvePanel
from attnkit.explore import context
from attnkit.explore.laboratory import Laboratory, forced_hits, held_out
from attnkit.text.alignment import AlignedPair

VARIANTS = {"attention": BLUE, "fixed vector, read forwards": ORANGE, "fixed vector, read backwards": GREEN}
_PAIRS = 4000
_PARTS = 5  # of a sentence
_SHORTEST = 6  # words: in shorter sentences every word is among the last
_RARE = 0.01
_FLOOR = 5.0  # points that reading forwards must gain on reading backwards from the first part to the last


def run(laboratory: Laboratory) -> list[Path]:
    """Trains what `context` trains, too, and a reader from the last word to the first."""
    pairs = [pair for pair in held_out(_PAIRS) if len(pair.source.split()) >= _SHORTEST]
    counted = rare_words(pairs)
    runs = {
        "attention": context.VARIANTS["attention"],
        "forwards": context.VARIANTS["every step"],
        "backwards": [*context.VARIANTS["every step"], "model.reverse_source=true"],
    }
    numbers = {}
    for name, (run_name, overrides) in zip(VARIANTS, runs.items(), strict=True):
        translator = laboratory.train(run_name, "en-it-recurrent", overrides)
        numbers[name] = by_position(pairs, forced_hits(translator, pairs), counted, _PARTS)
    _, forwards, backwards = (list(each.values()) for each in numbers.values())
    seen = forwards[-1] - forwards[0] - (backwards[-1] - backwards[0])
    laboratory.expect(
        seen >= _FLOOR, f"each reader to be the better one where it ends, by {_FLOOR:.0f} points, got {seen:.1f}"
    )
    return [_draw(laboratory, numbers), laboratory.save({"accuracy_by_fifth_of_the_source": numbers})]


def rare_words(pairs: Sequence[AlignedPair]) -> set[str]:
    """The words that make up less than 1 % of the targets: those that have a meaning of their own."""
    counts = Counter(word for pair in pairs for word in pair.target.split())
    total = counts.total()
    return {word for word, count in counts.items() if count < _RARE * total}


def by_position(
    pairs: Sequence[AlignedPair], hits: Sequence[np.ndarray], counted: Collection[str], parts: int
) -> dict[int, float]:
    """The share, in percent, of links to `counted` target words that are right, by the part of the source, from 1 to
    `parts`, in which the source word lies."""
    right, all_ = np.zeros(parts), np.zeros(parts)
    for pair, hit in zip(pairs, hits, strict=True):
        words, length = pair.target.split(), len(pair.source.split())
        for source, target in pair.alignment:
            if words[target] in counted and target < len(hit):
                part = source * parts // length
                right[part] += hit[target]
                all_[part] += 1
    return {part + 1: 100.0 * float(right[part] / all_[part]) for part in range(parts) if all_[part]}


def _draw(laboratory: Laboratory, numbers: Mapping[str, Mapping[int, float]]) -> Path:
    curves = [
        Curve(name, [(float(part), share) for part, share in shares.items()], VARIANTS[name], dots=True)
        for name, shares in numbers.items()
    ]
    names = ("first fifth", "second", "third", "fourth", "last fifth")
    panel = CurvePanel(
        "Source words whose translation is right (%), by where they stand in the source",
        curves,
        "part of the source",
        from_zero=False,
        y_range=(0.0, 100.0),
        ticks=[(float(index + 1), name) for index, name in enumerate(names)],
    )
    return laboratory.draw("recency.png", "One vector remembers best what it read last", [[panel]])
