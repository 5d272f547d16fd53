"""What positions are for: translators with and without them, reading sentences whose words were shuffled.

Self-attention is the same for every order of its inputs (Vaswani et al., 2017, section 3.5): without positional
encoding the encoder reads a bag of words, and shuffling the source changes nothing. Sinusoids are waves of growing
length, side by side; the encoding k places further is one rotation of it, the same at every place: PE(p + k) = M_k
PE(p).
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from attnkit.explain.drawing.chart import COLOURS, BarPanel, Curve, CurvePanel
from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explain.drawing.slide import draw_slide
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.nn.positions import sinusoids

VARIANTS = {"sinusoidal": "sinusoids", "learned": "learned vectors", "none": "no positions"}
_UNGUIDED = "training.guided_alignment.weight=0"  # words alone say what attention learns
FEW_STEPS = 345
_FLOOR = 40.0  # the BLEU below which order can hardly matter
_WIDTH = 64  # of the encoding that is drawn; its last columns hardly change over so few places
_DRAWN = (64, 40)  # positions and first columns of the picture of the sinusoids
_SHIFTED = (24, 12, 5)  # positions, first columns and k of the picture of their shift
_WAVES = (0, 4, 8, 12)  # the pairs of columns that are drawn as waves


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
    best = figures["sinusoidal"]["bleu"]
    laboratory.expect(best >= _FLOOR, f"a BLEU of {_FLOOR:.0f} with sinusoids, got {best:.1f}")
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
    def panel(title: str, figure: str) -> BarPanel:
        rows = [(name, figures[variant][figure]) for variant, name in VARIANTS.items()]
        return BarPanel(title, rows, colours=COLOURS, full=100.0)

    return laboratory.draw(
        "positions.png",
        "A Transformer with positions and without, every bar on the scale from 0 to 100",
        [
            [panel("BLEU, words of the source in order", "bleu")],
            [panel("BLEU, words of the source shuffled", "bleu_shuffled")],
            [panel("Sentences whose translation shuffling does not change (%)", "same_translation")],
        ],
    )


def _draw_sinusoids(laboratory: Laboratory) -> Path:
    """No training is needed for it, so that no warning belongs to it."""
    length, columns = _DRAWN
    table = sinusoids(length, _WIDTH)[:, :columns]
    waves = [
        Curve(f"sin {pair}", [(float(p), float(table[p, 2 * pair])) for p in range(length)], colour)
        for pair, colour in zip(_WAVES, COLOURS, strict=False)
    ]
    path = laboratory.folder / "sinusoids.png"
    draw_slide(
        path,
        "Sinusoidal positions: red is −1, white is 0, blue is 1",
        [
            [
                MatrixPanel(f"PE: {length} positions (down), {columns} of {_WIDTH} columns", table, signed=True),
                CurvePanel("Its columns are waves", waves, "position", y_range=(-1.0, 1.0)),
            ],
            _shift_panels(),
        ],
        heights=(1.1, 1.0),
    )
    return path


def _shift_panels() -> list[MatrixPanel]:
    length, columns, offset = _SHIFTED
    table = sinusoids(length + offset, _WIDTH)[:, :columns]
    matrix = shift_matrix(_WIDTH, offset)[:columns, :columns]  # it turns each pair of columns by itself
    return [
        MatrixPanel("PE(p), p down", table[:length], signed=True),
        MatrixPanel(f"M: the shift by {offset}", matrix, signed=True, numbers=False),
        MatrixPanel("M PE(p)", table[:length] @ matrix.T, signed=True),
        MatrixPanel(f"PE(p + {offset}): the same", table[offset:], signed=True),
    ]
