"""The bottleneck of a fixed-length context: BLEU by sentence length, with attention and without.

Without attention the whole source must pass through one vector, and long sentences suffer most (Cho et al., 2014, "On
the properties of neural machine translation"; Bahdanau et al., 2015, figure 2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnkit.explain.drawing.chart import BLUE, ORANGE, BarPanel, Curve, CurvePanel, draw_chart
from attnkit.explore.laboratory import Laboratory, bleu, by_length, held_out

VARIANTS = {"attention": ["model.score=additive"], "fixed context": ["model.score=none"]}
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
    sizes = {label: len(members) for label, members in classes.items()}
    path = laboratory.folder / "fixed-context.png"
    middles = {
        label: sum(len(pair.source.split()) for pair in members) / len(members) for label, members in classes.items()
    }
    curves = [
        Curve(name, [(middles[label], score) for label, score in figures["bleu_by_length"].items()], colour, dots=True)
        for (name, figures), colour in zip(numbers.items(), (BLUE, ORANGE), strict=True)
    ]
    draw_chart(
        path,
        [
            CurvePanel("BLEU by length", curves, "words of the source"),
            BarPanel("BLEU, all lengths", [(name, figures["bleu"]) for name, figures in numbers.items()]),
        ],
    )
    return [path, laboratory.save({"variants": numbers, "sentences_by_length": sizes})]
