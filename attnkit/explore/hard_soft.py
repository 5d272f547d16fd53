"""Soft attention, a weighted mean, against hard attention, one sampled position: the price of sampling.

Soft attention is differentiated exactly. Hard attention needs an estimate of its gradient: that of REINFORCE, or a
biased one (straight-through: Bengio et al., 2013). What REINFORCE learns depends on its variance: with a moving mean of
the reward as the only baseline (Xu et al., 2015, section 4.1) and samples from the first batch, it does not find where
to look; measured by soft attention, and begun with it, it does (docs/attention.md, "hard").
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from attnkit.explain.drawing.chart import COLOURS, BarPanel
from attnkit.explore.laboratory import Laboratory, bleu, held_out
from attnkit.tasks.translate.alignment import alignment_error
from attnkit.training.task import Task

_REINFORCE = ["model.normaliser=hard", "model.hard_gradient=reinforce"]
VARIANTS = {
    "soft": [],
    "hard, straight-through": ["model.normaliser=hard", "model.hard_gradient=straight-through"],
    "hard, REINFORCE": _REINFORCE,
    "hard, REINFORCE alone": [*_REINFORCE, "model.baseline=mean", "model.soft_batches=0"],
}
FEW_STEPS = 345
_BATCHES = 24  # gradients that the variance is measured over
_FLOOR = 40.0  # the BLEU below which the models differ by chance


def run(laboratory: Laboratory) -> list[Path]:
    """Trains each without dropout, so that all noise of the gradient comes from the data and from sampling."""
    pairs = held_out()
    numbers = {}
    for name, overrides in VARIANTS.items():
        changes = ["model.dropout=0.0", laboratory.soft_batches(), *overrides]
        translator = laboratory.train(run_name(name), "en-it-recurrent", changes)
        numbers[name] = {
            "bleu": bleu(translator, pairs),
            "alignment_error_rate": alignment_error(translator, pairs),
            **gradient_noise(laboratory.task(run_name(name)), _BATCHES)._asdict(),
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
            [panel("Noise of the attention's gradient: variance / |mean|²", "attention_gradient_noise")],
        ],
    )
    return [path, laboratory.save({"variants": numbers})]


def run_name(variant: str) -> str:
    """The folder of a variant."""
    return variant.replace(", ", "-").replace(" ", "-").lower()


class Noise(NamedTuple):
    """The variance of the gradient of one batch over the squared norm of its mean: of all parameters together, and of
    those of the attention, which learn by sampling."""

    gradient_noise: float
    attention_gradient_noise: float


def gradient_noise(task: Task, batches: int) -> Noise:
    """Of the weights as they are, over so many batches of the training data."""
    task.model.train()
    learning = [(name, parameter) for name, parameter in task.model.named_parameters() if "reinforce." not in name]
    sums, squares = (np.zeros(sum(parameter.numpy().size for _, parameter in learning)) for _ in range(2))
    for _ in range(batches):
        task.model.zero_grad()
        task.loss(next(task.batches)).loss.backward()
        grads = [np.zeros(p.shape) if p.grad is None else p.grad.numpy().astype(np.float64) for _, p in learning]
        flat = np.concatenate([grad.ravel() for grad in grads])
        sums += flat
        squares += flat * flat
    mean = sums / batches
    variance = (squares / batches - mean * mean) * batches / (batches - 1)
    of_attention = np.concatenate([np.full(p.numpy().size, ".attention." in name) for name, p in learning])
    noise = [float(variance[part].sum() / (mean[part] @ mean[part])) for part in (slice(None), of_attention)]
    return Noise(*noise)
