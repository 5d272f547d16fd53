"""The bottleneck of a fixed-length context: BLEU by sentence length, with attention and without.

Without attention the whole source must pass through one vector, and long sentences suffer most (Cho et al., 2014, "On
the properties of neural machine translation"; Bahdanau et al., 2015, figure 2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnkit.explain.drawing.chart import BLUE, ORANGE, BarPanel, Curve, CurvePanel
from attnkit.explore.laboratory import Laboratory, bleu, by_length, held_out, mean_length

VARIANTS = {"attention": ["model.score=additive"], "fixed context": ["model.score=none"]}
COLOURS = {"attention": BLUE, "fixed context": ORANGE}
EDGES = (4, 6, 8, 10, 20)
_PAIRS = 2000  # long sentences are few


def run(laboratory: Laboratory) -> list[Path]:
    """Trains one translator with additive attention and one whose decoder starts from the encoder's last state."""
    pairs = held_out(_PAIRS)
    classes = by_length(pairs, EDGES)
    numbers: dict[str, dict[str, Any]] = {}
    for name, overrides in VARIANTS.items():
        translator = laboratory.train(name.replace(" ", "-"), "en-it-recurrent", overrides)
        numbers[name] = {
            "bleu": bleu(translator, pairs),
            "bleu_by_length": {label: bleu(translator, members) for label, members in classes.items()},
        }
    whole, fixed = (numbers[name]["bleu"] for name in VARIANTS)
    laboratory.expect(whole >= 40.0 and fixed <= whole - 10.0, f"a BLEU of 40 with attention, got {whole:.1f}")
    middles = {label: mean_length(members) for label, members in classes.items()}
    curves = [
        Curve(
            name,
            [(middles[label], score) for label, score in figures["bleu_by_length"].items()],
            COLOURS[name],
            dots=True,
        )
        for name, figures in numbers.items()
    ]
    bars = [(name, figures["bleu"]) for name, figures in numbers.items()]
    path = laboratory.draw(
        "fixed-context.png",
        "One fixed vector for the whole source, and attention",
        [
            [
                CurvePanel(
                    "BLEU by the length of the source",
                    curves,
                    "words of the source",
                    from_zero=False,
                    y_range=(0.0, 100.0),
                )
            ],
            [BarPanel("BLEU, all lengths", bars, colours=[COLOURS[name] for name in numbers], full=100.0)],
        ],
        heights=(3.0, 1.0),
    )
    sizes = {label: len(members) for label, members in classes.items()}
    return [path, laboratory.save({"variants": numbers, "sentences_by_length": sizes})]
