"""The order of the source: a model without attention that reads it forwards, and one that reads it backwards.

Reversing the source brings its first words close to those of the target (Sutskever et al., 2014, section 3.3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnkit.explain.drawing.chart import BLUE, ORANGE, BarPanel, Curve, CurvePanel
from attnkit.explore.laboratory import Laboratory, bleu, held_out

# An encoder of one direction, whose state is as wide as the decoder's.
ONE_WAY = ["model.bidirectional=false", "model.encoder_size=128"]
VARIANTS = {"forwards": "false", "backwards": "true"}
COLOURS = {"forwards": BLUE, "backwards": ORANGE}
_FLOOR = 0.02  # what the losses must differ by, in nats a word, and BLEU must have


def overrides(laboratory: Laboratory, variant: str) -> list[str]:
    """What makes the preset this variant; other experiments take its runs."""
    return [
        *ONE_WAY,
        "model.score=none",
        f"model.reverse_source={VARIANTS[variant]}",
        "training.validate_unit=steps",
        f"training.validate_every={laboratory.validation_steps}",
    ]


def run(laboratory: Laboratory) -> list[Path]:
    """Trains both and draws how their validation loss falls."""
    pairs = held_out()
    numbers: dict[str, dict[str, Any]] = {}
    curves = []
    for name in VARIANTS:
        translator = laboratory.train(name, "en-it-recurrent", overrides(laboratory, name))
        losses = laboratory.metrics(name, "validation_loss")
        numbers[name] = {"bleu": bleu(translator, pairs), "validation_loss": dict(losses)}
        curves.append(Curve(name, [(float(step), loss) for step, loss in losses], COLOURS[name], dots=True))
    forwards, backwards = (min(numbers[name]["validation_loss"].values()) for name in VARIANTS)
    best = max(numbers[name]["bleu"] for name in VARIANTS)
    laboratory.expect(
        forwards - backwards >= _FLOOR and best >= 3.0, f"a BLEU of 3 and losses that differ, got {best:.1f}"
    )
    bars = [(f"read {name}", figures["bleu"]) for name, figures in numbers.items()]
    path = laboratory.draw(
        "reversal.png",
        "The source read forwards and backwards, into one vector",
        [
            [CurvePanel("Validation loss (nats a word)", curves)],
            [BarPanel("BLEU", bars, colours=[COLOURS[name] for name in VARIANTS])],
        ],
        heights=(3.0, 1.0),
    )
    return [path, laboratory.save({"variants": numbers})]
