"""What attention says about which words belong together: alignment error rates, of one direction and of both.

An attention that gives each target word one source word cannot link two source words to one target word: even the true
links, one kept for each target word, have an error rate of some 6 % from English to Italian. A second translator, of
the other direction, sees those (Och & Ney, 2003, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attnkit.explain.drawing.chart import BLUE, GREEN, GREY, BarPanel, draw_chart
from attnkit.explain.drawing.colours import Colour
from attnkit.explore.laboratory import Laboratory, held_out
from attnkit.tasks.translate.alignment import alignment_error
from attnkit.text.alignment import AlignedPair, alignment_error_rate

# Each source word is to be looked at about once, which brings weights near to links (docs/attention.md, "balance").
_COMMON = ["model.balance=0.1"]
_AFTER = ["model.score=general", "model.attend=after"]
VARIANTS = {
    "additive": ["model.score=additive"],
    "scaled dot": ["model.score=scaled-dot"],
    "general": [*_AFTER, "model.input_feeding=true"],
    "general, local-p": [*_AFTER, "model.normaliser=local-p"],
}


def run(laboratory: Laboratory) -> list[Path]:
    """Trains a translator in each direction for each attention."""
    pairs = held_out()
    back_pairs = [pair.reversed() for pair in pairs]
    numbers = {}
    for name, overrides in VARIANTS.items():
        run_name = name.replace(", ", "-").replace(" ", "-")
        there, back = (
            laboratory.train(
                f"{run_name}-{builtin}", "en-it-recurrent", [*_COMMON, f"data.builtin={builtin}", *overrides]
            )
            for builtin in ("en-it", "it-en")
        )
        numbers[name] = {
            "english_to_italian": alignment_error(there, pairs),
            "italian_to_english": alignment_error(back, back_pairs),
            "both": alignment_error(there, pairs, back),
        }
    path = laboratory.folder / "alignment.png"

    worst = 100.0 * max(max(figures.values()) for figures in numbers.values())

    def panel(title: str, figure: str, colour: Colour) -> BarPanel:
        rows = [(name, 100.0 * figures[figure]) for name, figures in numbers.items()]
        return BarPanel(title, rows, colour=colour, full=worst)

    draw_chart(
        path,
        [
            panel("Alignment error rate, English to Italian (%)", "english_to_italian", BLUE),
            panel("Italian to English (%)", "italian_to_english", GREY),
            panel("Both directions (%)", "both", GREEN),
        ],
    )
    return [path, laboratory.save({"variants": numbers, "one_true_link_a_target_word": one_link_error(pairs)})]


def one_link_error(pairs: Sequence[AlignedPair]) -> float:
    """The alignment error rate of the true links when each target word keeps only its first: the least that
    attention in this direction can reach."""
    kept = [{target: (source, target) for source, target in reversed(pair.alignment)}.values() for pair in pairs]
    return alignment_error_rate(kept, [pair.alignment for pair in pairs])
