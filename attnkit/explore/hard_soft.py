"""Soft attention, a weighted mean, against hard attention, one sampled position: the price of sampling.

Soft attention is differentiated exactly. Hard attention needs an estimate of its gradient: that of REINFORCE, whose
variance a baseline keeps down (Xu et al., 2015, section 4.1), or a biased one (straight-through: Bengio et al., 2013).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from attnkit.explain.drawing.chart import COLOURS, BarPanel
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.tasks.translate.alignment import alignment_error
from attnkit.training.task import Task

VARIANTS = {
    "soft": [],
    "hard, REINFORCE": ["model.normaliser=hard", "model.hard_gradient=reinforce"],
    "hard, straight-through": ["model.normaliser=hard", "model.hard_gradient=straight-through"],
}
FEW_STEPS = 345
_BATCHES = 24  # gradients that the variance is measured over
_FLOOR = 40.0  # the BLEU below which the models differ by chance


def run(laboratory: Laboratory) -> list[Path]:
    """Trains each without dropout, so that all noise of the gradient comes from the data and from sampling."""
    pairs = held_out()
    numbers = {}
    for name, overrides in VARIANTS.items():
        run_name = name.replace(", ", "-").lower()
        translator = laboratory.train(run_name, "en-it-recurrent", ["model.dropout=0.0", *overrides])
        numbers[name] = {
            "bleu": bleu(translator, pairs),
            "alignment_error_rate": alignment_error(translator, pairs),
            "gradient_noise": gradient_noise(laboratory.task(run_name), _BATCHES),
        }
    best = numbers["soft"]["bleu"]
    laboratory.expect(best >= _FLOOR, f"a BLEU of {_FLOOR:.0f} with soft attention, got {best:.1f}")

    def panel(title: str, figure: str, factor: float = 1.0, full: float | None = None) -> BarPanel:
        rows = [(name, factor * figures[figure]) for name, figures in numbers.items()]
        return BarPanel(title, rows, colours=COLOURS, full=full)

    path = laboratory.draw(
        "hard-soft.png",
        "A weighted mean (soft) and one sampled position (hard)",
        [
            [panel("BLEU, more is better", "bleu", full=100.0)],
            [panel("Alignment error rate (%), less is better", "alignment_error_rate", 100.0, 100.0)],
            [panel("Noise of the gradient: variance / |mean|²", "gradient_noise")],
        ],
    )
    return [path, laboratory.save({"variants": numbers})]


def gradient_noise(task: Task, batches: int) -> float:
    """The variance of the gradient of one batch, all parameters together, over the squared norm of its mean."""
    task.model.train()
    total: np.ndarray | None = None
    squares = 0.0
    for _ in range(batches):
        task.model.zero_grad()
        task.loss(next(task.batches)).loss.backward()
        grads = [parameter.grad for parameter in task.model.parameters()]
        flat = np.concatenate([grad.numpy().ravel().astype(np.float64) for grad in grads if grad is not None])
        total = flat if total is None else total + flat
        squares += float(flat @ flat)
    assert total is not None  # there is at least one batch
    mean = total / batches
    norm = float(mean @ mean)
    return (squares / batches - norm) * batches / (batches - 1) / norm
