"""A memory that is read by content, as by the Neural Turing Machine: key-value recall, also by damaged keys.

Sixteen slots hold a key and a value each, new ones for every question; the reader is asked by one of the keys and must
say which value lies beside it (`nn.MemoryRead`; Graves et al., 2014, section 3.3.1). It is a database whose WHERE is a
cosine: every slot answers, each by as much as its key is like the question, and because that is differentiable the
reader learns what to compare and how sharply. An associative memory completes: it still answers when part of the key
is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from attnkit import nn
from attnkit._core import Tensor, manual_seed
from attnkit._tensor import no_grad, tensor
from attnkit.explain.drawing.chart import BLUE, ORANGE, Curve, CurvePanel
from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explore.laboratory import Laboratory
from attnkit.explore.small import fit

_STEPS = 1500
_SLOTS, _KEY, _VALUES, _BATCH = 16, 32, 16, 64  # slots, width of keys, kinds of values, memories a batch
_DAMAGE = (0.0, 0.25, 0.5, 0.625, 0.75, 0.875)  # shares of a key's numbers that are erased
_POINTS = 20  # of a curve
_TESTED = 512  # questions
_FLOOR = 95.0


class Question(NamedTuple):
    """B memories and a question to each: keys [B, slots, key], values int [B, slots], asked int [B]: the slot whose
    key the question is; question [B, key]: that key, or what is left of it."""

    keys: np.ndarray
    values: np.ndarray
    asked: np.ndarray
    question: np.ndarray


class Reader(nn.Module):
    """A read of the memory, and the value that it says."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Embedding(_VALUES, _KEY)
        self.read = nn.MemoryRead(_KEY, _KEY)
        self.output = nn.Linear(_KEY, _VALUES)

    def forward(self, question: Question) -> tuple[Tensor, np.ndarray]:
        """(logits [B, values], weights [B, slots])."""
        memories = len(question.asked)
        result, weights = self.read(
            tensor(question.question),
            np.arange(memories + 1, dtype=np.int32),
            tensor(question.keys.reshape(-1, _KEY)),
            self.value(question.values.ravel()),
            np.arange(memories + 1, dtype=np.int32) * _SLOTS,
        )
        return self.output(result), weights.numpy().reshape(memories, _SLOTS)


def draw_questions(random: np.random.Generator, memories: int, damage: float = 0.0) -> Question:
    """Random keys and values; `damage` is the share of the question that is set to zero."""
    keys = random.standard_normal((memories, _SLOTS, _KEY)).astype(np.float32)
    values = random.integers(0, _VALUES, (memories, _SLOTS)).astype(np.int32)
    asked = random.integers(0, _SLOTS, memories)
    question = keys[np.arange(memories), asked]
    question[:, : round(damage * _KEY)] = 0.0
    return Question(keys, values, asked, question)


def run(laboratory: Laboratory) -> list[Path]:
    """Trains one reader on whole keys, watches how it learns, and asks it by damaged ones."""
    steps = laboratory.steps or _STEPS
    laboratory.note("training a reader")
    manual_seed(laboratory.seed)
    reader = Reader()
    course = {0: _measure(reader, 0.0, laboratory.seed)}
    before = _first_read(reader, laboratory.seed)

    def logits(random: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        question = draw_questions(random, _BATCH)
        return reader(question)[0], question.values[np.arange(_BATCH), question.asked]

    def watch(step: int) -> None:
        if step % max(1, steps // _POINTS) == 0 or step == steps:
            course[step] = _measure(reader, 0.0, laboratory.seed)

    fit(reader, logits, steps, 0.01, laboratory.seed, watch)
    damaged = {share: _measure(reader, share, laboratory.seed) for share in _DAMAGE}
    right = course[steps]["right_value"]
    laboratory.expect(right >= _FLOOR, f"{_FLOOR:.0f} % of the questions answered, got {right:.0f} %")
    numbers = {"by_step": course, "by_erased_share_of_the_key": damaged}
    figure = _draw(laboratory, course, damaged, before, _first_read(reader, laboratory.seed))
    return [figure, laboratory.save(numbers)]


def _measure(reader: Reader, damage: float, seed: int) -> dict[str, float]:
    """right_value: the share of questions answered, in percent; right_slot: the mean weight on the slot that was asked
    for, in percent."""
    question = draw_questions(np.random.default_rng(seed + 1), _TESTED, damage)
    rows = np.arange(_TESTED)
    with no_grad():
        logits, weights = reader(question)
    said = logits.numpy().argmax(axis=1)
    return {
        "right_value": 100.0 * float((said == question.values[rows, question.asked]).mean()),
        "right_slot": 100.0 * float(weights[rows, question.asked].mean()),
    }


def _first_read(reader: Reader, seed: int) -> np.ndarray:
    """Weights [slots, slots]: one memory, asked by each of its keys in turn."""
    drawn = draw_questions(np.random.default_rng(seed + 2), 1)
    again = [np.repeat(part, _SLOTS, axis=0) for part in drawn]
    question = Question(again[0], again[1], np.arange(_SLOTS), drawn.keys[0])
    with no_grad():
        weights: np.ndarray = reader(question)[1]
    return weights


def _draw(
    laboratory: Laboratory,
    course: dict[int, dict[str, float]],
    damaged: dict[float, dict[str, float]],
    before: np.ndarray,
    after: np.ndarray,
) -> Path:
    def curves(numbers: dict[int, dict[str, float]] | dict[float, dict[str, float]], factor: float) -> list[Curve]:
        return [
            Curve(name, [(factor * x, figures[key]) for x, figures in numbers.items()], colour, dots=True)
            for name, key, colour in (
                ("right answers", "right_value", BLUE),
                ("weight on the right slot", "right_slot", ORANGE),
            )
        ]

    percent = (0.0, 100.0)
    return laboratory.draw(
        "memory.png",
        "A memory of sixteen keys and values, read by content",
        [
            [
                CurvePanel("As it learns (%)", curves(course, 1.0), y_range=percent),
                CurvePanel("Asked by damaged keys (%)", curves(damaged, 100.0), "erased (%)", y_range=percent),
            ],
            [
                MatrixPanel("Untrained: question (down), slot (across)", before, numbers=False),
                MatrixPanel("Trained: each key finds its slot", after, numbers=False),
            ],
        ],
    )
