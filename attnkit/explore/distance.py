"""A dependency at growing distance: what was read once, asked for many words later.

A sequence begins with one of eight words, goes on with words that mean nothing, and ends with the question which word
it began with. A recurrent network carries the answer through every step; self-attention looks at it in one step,
however far away it lies. For each distance each network is trained anew, with as many steps and about as many weights;
guessing gives 12.5 %.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor, manual_seed
from attnkit.explain.drawing.chart import BLUE, GREEN, ORANGE, Curve, CurvePanel
from attnkit.explore.laboratory import Laboratory
from attnkit.explore.small import Logits, accuracy, fit

DISTANCES = (2, 5, 10, 15, 20, 40, 80)
_STEPS = 600
_ANSWERS, _FILLERS = 8, 16  # kinds of first words, and of words that mean nothing; then one word that asks
_WIDTH, _BATCH = 64, 32
_TESTED = 20  # batches
_FLOOR = 90.0


class Reader(nn.Module):
    """Words, layers that read them, and which of the first words it was, by the state at the last one."""

    def __init__(self, layers: nn.Module, positions: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(
            _ANSWERS + _FILLERS + 1,
            _WIDTH,
            _WIDTH**0.5,
            positions=nn.SinusoidalPositions(_WIDTH) if positions else None,
        )
        self.layers = layers
        self.output = nn.Linear(_WIDTH, _ANSWERS)

    def forward(self, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        """ids int32 [T], offsets int32 [B + 1] → logits [B, answers]."""
        attends = isinstance(self.layers, nn.TransformerEncoder)
        states = self.layers(self.embedding(ids, nn.packed_positions(offsets) if attends else None), offsets)
        output = states[0] if isinstance(states, tuple) else states
        return self.output(ops.gather_rows(output, (offsets[1:] - 1).astype(np.int32)))


READERS: dict[str, Callable[[], Reader]] = {
    "self-attention": lambda: Reader(nn.TransformerEncoder(1, _WIDTH, 4, 2 * _WIDTH, dropout=0.0, norm="pre"), True),
    "LSTM": lambda: Reader(nn.LSTM(_WIDTH, _WIDTH)),
    "RNN": lambda: Reader(nn.RNN(_WIDTH, _WIDTH)),
}
_COLOURS = dict(zip(READERS, (BLUE, ORANGE, GREEN), strict=True))


def run(laboratory: Laboratory) -> list[Path]:
    """Trains every network at every distance."""
    steps = laboratory.steps or _STEPS
    numbers: dict[str, dict[int, float]] = {}
    for name, make in READERS.items():
        laboratory.note(f"training {name} at distances of {DISTANCES[0]} to {DISTANCES[-1]} words")
        numbers[name] = {distance: recall(make, distance, steps, laboratory.seed) for distance in DISTANCES}
    best = min(numbers["self-attention"].values())
    laboratory.expect(best >= _FLOOR, f"self-attention to be right in {_FLOOR:.0f} %, got {best:.0f} %")
    curves = [
        Curve(name, [(float(distance), share) for distance, share in shares.items()], _COLOURS[name], dots=True)
        for name, shares in numbers.items()
    ]
    panel = CurvePanel(
        "Right answers (%); guessing gives 12.5",
        curves,
        "words between the first word and the question",
        y_range=(0.0, 100.0),
        log_x=True,
        ticks=[(float(distance), str(distance)) for distance in DISTANCES],
    )
    path = laboratory.draw("distance.png", "A word that must be remembered, over a growing distance", [[panel]])
    return [path, laboratory.save({"accuracy_by_distance": numbers, "steps": steps})]


def recall(make: Callable[[], Reader], distance: int, steps: int, seed: int) -> float:
    """The accuracy, in percent, of a network trained at this distance."""
    manual_seed(seed)
    reader = make()
    logits = _questions(reader, distance)
    fit(reader, logits, steps, 0.003, seed)
    return accuracy(logits, _TESTED, seed + 1)


def _questions(reader: Reader, distance: int) -> Logits:
    offsets = np.arange(0, _BATCH * (distance + 2) + 1, distance + 2, dtype=np.int32)

    def draw(random: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        answers = random.integers(0, _ANSWERS, _BATCH).astype(np.int32)
        ids = np.full((_BATCH, distance + 2), _ANSWERS + _FILLERS, np.int32)
        ids[:, 0] = answers
        ids[:, 1:-1] = random.integers(_ANSWERS, _ANSWERS + _FILLERS, (_BATCH, distance))
        return reader(ids.ravel(), offsets), answers

    return draw
