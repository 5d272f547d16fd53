"""The order of the source: a model without attention that reads it forwards, and one that reads it backwards.

Reversing the source brings its first words close to those of the target (Sutskever et al., 2014, section 3.3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnkit.explain.drawing.chart import BLUE, ORANGE, BarPanel, Curve, CurvePanel, draw_chart
from attnkit.explore.laboratory import Laboratory, bleu, held_out

_COMMON = ["model.score=none", "model.bidirectional=false", "model.encoder_size=128", "training.validate_unit=steps"]
VARIANTS = {"forwards": "false", "backwards": "true"}


def run(laboratory: Laboratory) -> list[Path]:
    """Trains both and draws how their validation loss falls."""
    pairs = held_out()
    numbers: dict[str, dict[str, Any]] = {}
    curves = []
    for (name, reversed_), colour in zip(VARIANTS.items(), (BLUE, ORANGE), strict=True):
        overrides = [*_COMMON, f"training.validate_every={laboratory.validation_steps}"]
        translator = laboratory.train(name, "en-it-recurrent", [*overrides, f"model.reverse_source={reversed_}"])
        losses = laboratory.metrics(name, "validation_loss")
        numbers[name] = {"bleu": bleu(translator, pairs), "validation_loss": dict(losses)}
        curves.append(Curve(name, [(float(step), loss) for step, loss in losses], colour, dots=True))
    path = laboratory.folder / "reversal.png"
    draw_chart(
        path,
        [
            CurvePanel("Validation loss", curves),
            BarPanel("BLEU", [(f"source read {name}", figures["bleu"]) for name, figures in numbers.items()]),
        ],
    )
    return [path, laboratory.save({"variants": numbers})]
