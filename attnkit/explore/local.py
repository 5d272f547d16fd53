"""Cost and quality of looking at less: global, local and hard attention by the length of the source.

Global attention compares each query with every word of the source, "expensive and impractical for longer sequences"
(Luong et al., 2015, section 3.2); a window compares it with few. Hard attention, at test time, compares all and reads
one. The times are those of one attention layer by itself, with as many queries at every length, dot products of width
128 and a window of 10 words to each side: the fastest of some runs, in milliseconds. The translators are those of
`scores`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnkit import nn
from attnkit._core import get_num_threads, manual_seed
from attnkit._tensor import no_grad, tensor
from attnkit.explain.drawing.chart import BLUE, GREEN, ORANGE, PURPLE, Curve, CurvePanel
from attnkit.explore import scores
from attnkit.explore.laboratory import Laboratory, bleu, by_length, held_out, mean_length

FEW_STEPS = scores.FEW_STEPS
_WIDTH, _WINDOW, _QUERIES = 128, 10, 64
NORMALISERS: dict[str, Callable[[], nn.Normaliser]] = {
    "softmax": nn.SoftmaxNormaliser,
    "local-m": lambda: nn.LocalMonotonicNormaliser(_WINDOW),
    "local-p": lambda: nn.LocalPredictiveNormaliser(_WIDTH, _WINDOW),
    "hard": nn.HardNormaliser,
}
_NAMES = {"softmax": "global", "local-m": "local-m", "local-p": "local-p", "hard": "hard, at test time"}
_COLOURS = dict(zip(NORMALISERS, (BLUE, ORANGE, GREEN, PURPLE), strict=True))
LENGTHS = (100, 300, 1000, 3000, 10000, 20000)
_REPEATS, _ENOUGH = 9, 0.5  # runs of a measurement, fewer once they took so many seconds
_EDGES = (4, 6, 8, 10, 20)
_PAIRS = 2000
_FLOOR = 10.0


def run(laboratory: Laboratory) -> list[Path]:
    """Measures the layers, and trains the translators that `scores` trains, too."""
    laboratory.note(f"measuring sources of {LENGTHS[0]} to {LENGTHS[-1]} words")
    forward = {name: measure(name, backward=False) for name in NORMALISERS}
    both = {name: measure(name, backward=True) for name in NORMALISERS if name != "hard"}
    classes = by_length(held_out(_PAIRS), _EDGES)
    quality: dict[str, dict[float, float]] = {}
    for name in NORMALISERS:
        translator = laboratory.train(
            f"general-{name}", "en-it-recurrent", scores.overrides(laboratory, "general", name)
        )
        quality[name] = {mean_length(members): bleu(translator, members) for members in classes.values()}
    best = max(quality["softmax"].values())
    laboratory.expect(best >= _FLOOR, f"a BLEU of {_FLOOR:.0f} with global attention, got {best:.1f}")
    numbers = {
        "forward_ms": forward,
        "forward_and_backward_ms": both,
        "bleu_by_mean_length": {
            name: {f"{length:.1f}": score for length, score in scored.items()} for name, scored in quality.items()
        },
        "threads": get_num_threads(),
    }
    return [_draw(laboratory, forward, both, quality), laboratory.save(numbers)]


def measure(name: str, backward: bool) -> dict[int, float]:
    """Milliseconds by the length of the source: the context of some queries, with `backward` also all gradients."""
    return {length: _milliseconds(name, length, backward) for length in LENGTHS}


def _milliseconds(name: str, length: int, backward: bool) -> float:
    manual_seed(1)
    random = np.random.default_rng(1)
    attention = nn.Attention(nn.DotScore(_WIDTH, _WIDTH), NORMALISERS[name]())
    attention.train(backward)
    offsets = np.array([0, length], np.int32)
    query = tensor(random.standard_normal((_QUERIES, _WIDTH)).astype(np.float32), requires_grad=backward)
    states = tensor(random.standard_normal((length, _WIDTH)).astype(np.float32), requires_grad=backward)
    # Spread over the whole source, as the words of a translation would be.
    positions = np.linspace(0, length - 1, _QUERIES).astype(np.int32)
    fastest, spent = float("inf"), 0.0
    for _ in range(_REPEATS):
        started = time.perf_counter()
        _attend(attention, query, states, offsets, positions, backward)
        took = time.perf_counter() - started
        fastest, spent = min(fastest, took), spent + took
        if spent > _ENOUGH:
            break
    return 1000.0 * fastest


def _attend(
    attention: nn.Attention, query: Any, states: Any, offsets: np.ndarray, positions: np.ndarray, backward: bool
) -> None:
    rows = np.array([0, _QUERIES], np.int32)
    if backward:
        attention(query, attention.prepare(states, offsets), rows, positions).context.sum().backward()
        return
    with no_grad():
        attention(query, attention.prepare(states, offsets), rows, positions)


def _draw(
    laboratory: Laboratory,
    forward: Mapping[str, Mapping[int, float]],
    both: Mapping[str, Mapping[int, float]],
    quality: Mapping[str, Mapping[float, float]],
) -> Path:
    def curves(numbers: Mapping[str, Mapping[Any, float]]) -> list[Curve]:
        return [
            Curve(_NAMES[name], [(float(x), y) for x, y in figures.items()], _COLOURS[name], dots=True)
            for name, figures in numbers.items()
        ]

    top = max(score for scored in quality.values() for score in scored.values()) or 1.0
    return laboratory.draw(
        "local.png",
        "Looking at less: cost and quality by the length of the source",
        [
            [
                CurvePanel("Forward, milliseconds", curves(forward), "words of the source", log_x=True, log_y=True),
                CurvePanel("With backward, milliseconds", curves(both), "words of the source", log_x=True, log_y=True),
            ],
            [CurvePanel("BLEU", curves(quality), "words of the source", from_zero=False, y_range=(0.0, top))],
        ],
    )
