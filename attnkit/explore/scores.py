"""Scores and normalisers side by side: one translator, its attention made of other parts each time."""

from __future__ import annotations

from pathlib import Path

from attnkit.explain.drawing.chart import BLUE, GREEN, GREY, BarPanel, draw_chart
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.tasks.translate.alignment import alignment_error

# Score and normaliser; the state after the cell attends, as in Luong et al. (2015), so that all see the same.
VARIANTS = [
    *((score, "softmax") for score in ("additive", "concat", "dot", "scaled-dot", "general", "scaled-general")),
    *((score, "softmax") for score in ("cosine", "location")),
    *(("general", normaliser) for normaliser in ("local-m", "local-p", "structured", "hard")),
]


def run(laboratory: Laboratory) -> list[Path]:
    """Trains a translator with each and measures BLEU, alignment error rate and training speed."""
    pairs = held_out()
    numbers = {}
    for score, normaliser in VARIANTS:
        name = score if normaliser == "softmax" else f"{score}, {normaliser}"
        run_name = f"{score}-{normaliser}"
        overrides = [f"model.score={score}", f"model.normaliser={normaliser}", "model.attend=after"]
        translator = laboratory.train(run_name, "en-it-recurrent", overrides)
        numbers[name] = {
            "bleu": bleu(translator, pairs),
            "alignment_error_rate": alignment_error(translator, pairs),
            "tokens_per_second": laboratory.tokens_per_second(run_name),
        }
    path = laboratory.folder / "scores.png"

    def rows(figure: str, factor: float = 1.0) -> list[tuple[str, float]]:
        return [(name, factor * figures[figure]) for name, figures in numbers.items()]

    draw_chart(
        path,
        [
            BarPanel("BLEU", rows("bleu"), colour=BLUE),
            BarPanel("Alignment error rate (%)", rows("alignment_error_rate", 100.0), colour=GREEN),
            BarPanel("Training, target tokens a second", rows("tokens_per_second"), digits=0, colour=GREY),
        ],
    )
    return [path, laboratory.save({"variants": numbers})]
