"""A Transformer and a recurrent translator of the same width: quality by seconds of training.

All words of a sentence pass through a Transformer at once, through a recurrent network one after the other: the same
quality takes the Transformer less time. The seconds are those of training steps alone, on this machine, with the
threads that it was given; validations are left out. Both learn from the words alone, without word alignments.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnkit._core import get_num_threads
from attnkit.explain.drawing.chart import BLUE, ORANGE, BarPanel, Curve, CurvePanel, Points
from attnkit.explore.laboratory import Laboratory

PRESETS = {"Transformer": "en-it", "recurrent, attention": "en-it-recurrent"}
COLOURS = {"Transformer": BLUE, "recurrent, attention": ORANGE}
_EXTRA = {"Transformer": ["training.guided_alignment.weight=0"], "recurrent, attention": []}
_QUALITY = 80.0  # the BLEU whose time is compared


def run(laboratory: Laboratory) -> list[Path]:
    """Trains both, with BLEU some ten times on the way."""
    numbers: dict[str, dict[str, Any]] = {}
    for name, preset in PRESETS.items():
        every = laboratory.validation_steps
        overrides = [
            "decoding.bleu=true",
            "training.validate_unit=steps",
            f"training.validate_every={every}",
            f"training.log_every={every}",
        ]
        run_name = name.split(",")[0].lower()
        laboratory.train(run_name, preset, [*overrides, *_EXTRA[name]])
        course = _course(laboratory, run_name)
        numbers[name] = {
            "seconds_to_bleu_80": reached(course, _QUALITY),
            "tokens_per_second": laboratory.tokens_per_second(run_name),
            "bleu_by_seconds": {f"{seconds:.1f}": bleu for seconds, bleu in course},
        }
    missing = [name for name, figures in numbers.items() if figures["seconds_to_bleu_80"] is None]
    laboratory.expect(not missing, f"a BLEU of {_QUALITY:.0f} of both, not reached by {' and '.join(missing)}")
    return [_draw(laboratory, numbers), laboratory.save({"variants": numbers, "threads": get_num_threads()})]


def _course(laboratory: Laboratory, run_name: str) -> Points:
    """(seconds of training, BLEU) at each validation."""
    speeds = dict(laboratory.metrics(run_name, "tokens_per_second"))
    tokens = dict(laboratory.metrics(run_name, "tokens"))
    seconds, seen, at = 0.0, 0.0, {}
    for step in sorted(speeds):  # one row a validation: the mean speed since the one before
        seconds += (tokens[step] - seen) / speeds[step]
        seen, at[step] = tokens[step], seconds
    return [(at[step], bleu) for step, bleu in laboratory.metrics(run_name, "bleu") if step in at]


def reached(course: Points, quality: float) -> float | None:
    """The seconds at which the straight line between two validations first reaches a quality; None where none does."""
    before = (0.0, 0.0)
    for seconds, found in course:
        if found >= quality:
            share = (quality - before[1]) / (found - before[1])
            return before[0] + share * (seconds - before[0])
        before = (seconds, found)
    return None


def _draw(laboratory: Laboratory, numbers: Mapping[str, Mapping[str, Any]]) -> Path:
    curves = [
        Curve(
            name,
            [(float(seconds), bleu) for seconds, bleu in figures["bleu_by_seconds"].items()],
            COLOURS[name],
            dots=True,
        )
        for name, figures in numbers.items()
    ]
    colours = [COLOURS[name] for name in numbers]
    times = [(name, figures["seconds_to_bleu_80"] or 0.0) for name, figures in numbers.items()]
    speeds = [(name, figures["tokens_per_second"]) for name, figures in numbers.items()]
    return laboratory.draw(
        "speed.png",
        "The same quality, by seconds of training",
        [
            [CurvePanel("BLEU (validation)", curves, "seconds of training", y_range=(0.0, 100.0))],
            [
                BarPanel(f"Seconds to a BLEU of {_QUALITY:.0f}", times, colours=colours),
                BarPanel("Target words a second", speeds, digits=0, colours=colours),
            ],
        ],
        heights=(2.6, 1.0),
    )
