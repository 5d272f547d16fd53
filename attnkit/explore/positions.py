"""What positions are for: translators with and without them, reading sentences whose words were shuffled.

Self-attention is the same for every order of its inputs (Vaswani et al., 2017, section 3.5): without positional
encoding the encoder reads a bag of words, and shuffling the source changes nothing.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from attnkit.explain import AttentionMap, write_png
from attnkit.explain.drawing.chart import GREY, BarPanel, draw_chart
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.nn.positions import sinusoids

VARIANTS = {"sinusoidal": "sinusoids", "learned": "learned vectors", "none": "no positions"}
_UNGUIDED = "training.guided_alignment.weight=0"  # words alone say what attention learns
_DRAWN = (24, 32)  # positions and columns of the picture of the sinusoids


def run(laboratory: Laboratory) -> list[Path]:
    """Trains a translator with each kind of positions and translates the test sentences in order and shuffled."""
    pairs = held_out()
    shuffled = [_shuffle(pair.source, seed) for seed, pair in enumerate(pairs)]
    figures: dict[str, dict[str, float]] = {}
    for variant in VARIANTS:
        translator = laboratory.train(variant, "en-it", [f"model.positions={variant}", _UNGUIDED])
        ordered = [result.text for result in translator.translate([pair.source for pair in pairs], beam=1)]
        mixed = [result.text for result in translator.translate(shuffled, beam=1)]
        figures[variant] = {
            "bleu": bleu(translator, pairs),
            "bleu_shuffled": bleu(translator, pairs, shuffled),
            "same_translation": 100.0 * sum(a == b for a, b in zip(ordered, mixed, strict=True)) / len(pairs),
        }
    shift = {offset: shift_error(64, 128, offset) for offset in (1, 5, 20)}
    numbers = laboratory.save({"variants": figures, "sinusoids": {"error_of_linear_shift": shift}})
    return [_draw(laboratory, figures), _draw_sinusoids(laboratory), numbers]


def shift_matrix(width: int, offset: int) -> np.ndarray:
    """The matrix M, float64 [width, width], for which PE(p + offset) = M · PE(p) at every p: a rotation of each
    sine-cosine pair by the angle that its frequency covers in `offset` positions. `width` is even."""
    matrix = np.zeros((width, width))
    for pair in range(width // 2):
        angle = offset * 10000.0 ** (-2 * pair / width)
        sine, cosine = np.sin(angle), np.cos(angle)
        matrix[2 * pair : 2 * pair + 2, 2 * pair : 2 * pair + 2] = [[cosine, sine], [-sine, cosine]]
    return matrix


def shift_error(length: int, width: int, offset: int) -> float:
    """The largest difference between PE(p + offset) and M · PE(p) over the positions p of a table."""
    table = sinusoids(length + offset, width).astype(np.float64)
    return float(np.abs(table[offset:] - table[:length] @ shift_matrix(width, offset).T).max())


def _shuffle(sentence: str, seed: int) -> str:
    words = sentence.split()
    random.Random(seed).shuffle(words)
    return " ".join(words)


def _draw(laboratory: Laboratory, figures: dict[str, dict[str, Any]]) -> Path:
    path = laboratory.folder / "positions.png"

    def rows(figure: str) -> list[tuple[str, float]]:
        return [(name, figures[variant][figure]) for variant, name in VARIANTS.items()]

    draw_chart(
        path,
        [
            BarPanel("BLEU, words in order", rows("bleu")),
            BarPanel("BLEU, words shuffled", rows("bleu_shuffled")),
            BarPanel("Translated alike, in order and shuffled (%)", rows("same_translation"), colour=GREY),
        ],
    )
    return path


def _draw_sinusoids(laboratory: Laboratory) -> Path:
    path = laboratory.folder / "sinusoids.png"
    length, width = _DRAWN
    table = (sinusoids(length, width) + 1.0) / 2.0  # a map of attention holds weights from 0 to 1
    columns = [f"{'sin' if column % 2 == 0 else 'cos'} {column // 2}" for column in range(width)]
    positions = [f"position {position}" for position in range(length)]
    write_png(path, AttentionMap(columns, positions, table, "Sinusoidal positions, from −1 (0) to 1 (1)"))
    return path
