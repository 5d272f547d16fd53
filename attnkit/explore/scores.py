"""Scores and normalisers side by side: one translator, its attention made of other parts each time.

In the maps each row is a word of the target, which is forced on the model, and each column a word of the source; what
falls on the end of the source has no column, so that a row that looks there alone is white. The weights of structured
attention are marginals, whose rows need not sum to one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attnkit.explain.drawing.chart import BLUE, ORANGE, BarPanel
from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.tasks.translate.alignment import alignment_error, forced_attention
from attnkit.text.alignment import AlignedPair

# Score and normaliser; the state after the cell attends, as in Luong et al. (2015), so that all see the same.
VARIANTS = [
    *((score, "softmax") for score in ("additive", "concat", "dot", "scaled-dot", "general", "scaled-general")),
    *((score, "softmax") for score in ("cosine", "location")),
    *(("general", normaliser) for normaliser in ("local-m", "local-p", "structured", "hard")),
]
FEW_STEPS = 210  # of the preset's 690: what learns fast, not what is best in the end
_SENTENCE = 2  # of the test pairs: one whose adjective and noun change places
_FLOOR = 10.0


def overrides(laboratory: Laboratory, score: str, normaliser: str) -> list[str]:
    """What makes the preset this variant; other experiments take its runs."""
    sampled = [laboratory.soft_batches()] if normaliser == "hard" else []
    return [f"model.score={score}", f"model.normaliser={normaliser}", "model.attend=after", *sampled]


def run(laboratory: Laboratory) -> list[Path]:
    """Trains a translator with each and measures BLEU, alignment error rate and training speed."""
    pairs = held_out()
    numbers, maps = {}, {}
    for score, normaliser in VARIANTS:
        name = score if normaliser == "softmax" else f"{score}, {normaliser}"
        run_name = f"{score}-{normaliser}"
        translator = laboratory.train(run_name, "en-it-recurrent", overrides(laboratory, score, normaliser))
        numbers[name] = {
            "bleu": bleu(translator, pairs),
            "alignment_error_rate": alignment_error(translator, pairs),
            "tokens_per_second": laboratory.tokens_per_second(run_name),
        }
        maps[name] = forced_attention(translator, pairs[_SENTENCE : _SENTENCE + 1])[0]
    best = max(figures["bleu"] for figures in numbers.values())
    laboratory.expect(best >= _FLOOR, f"a BLEU of {_FLOOR:.0f} with the best of them, got {best:.1f}")
    files = [_draw_figures(laboratory, numbers), _draw_maps(laboratory, maps, pairs[_SENTENCE])]
    return [*files, laboratory.save({"variants": numbers})]


def _draw_figures(laboratory: Laboratory, numbers: dict[str, dict[str, float]]) -> Path:
    colours = [BLUE if normaliser == "softmax" else ORANGE for _, normaliser in VARIANTS]

    def panel(title: str, figure: str, factor: float = 1.0, digits: int = 1, full: float | None = None) -> BarPanel:
        rows = [(name, factor * figures[figure]) for name, figures in numbers.items()]
        return BarPanel(title, rows, digits, colours=colours, full=full)

    return laboratory.draw(
        "scores.png",
        "Scores with a softmax (blue), other normalisers (orange)",
        [
            [
                panel("BLEU", "bleu"),
                panel("Alignment error rate (%)", "alignment_error_rate", 100.0, full=100.0),
                panel("Training, words a second", "tokens_per_second", digits=0),
            ]
        ],
    )


def _draw_maps(laboratory: Laboratory, maps: dict[str, np.ndarray], pair: AlignedPair) -> Path:
    source, target = pair.source.split(), pair.target.split()
    panels = [MatrixPanel(name, weights, target, source, scale=False, numbers=False) for name, weights in maps.items()]
    rows = [panels[first : first + 4] for first in range(0, len(panels), 4)]
    title = "What each target word looks at, of the source but its end: white is 0, dark blue is 1"
    return laboratory.draw("maps.png", title, rows, widths=[1.0] * 4)
