"""How many images a Vision Transformer needs, beside a convolutional network.

A convolution looks for the same thing everywhere and at neighbours first; self-attention between patches must learn
both from data (Dosovitskiy et al., 2021, section 4.3). Both networks do about as much arithmetic for an image, train
for as many steps, and read digits among pieces of others; what differs is how many images they go through again and
again. None is augmented. Guessing gives 10 %.
"""

from __future__ import annotations

from pathlib import Path

from attnkit.explain.drawing.chart import BLUE, ORANGE, Curve, CurvePanel
from attnkit.explore.laboratory import Laboratory

AMOUNTS = (100, 300, 1_000, 3_000, 10_000)
_MODELS = {"convolutional network": ("digits-cnn", ORANGE), "Vision Transformer": ("digits-vit", BLUE)}
_STEPS = 600
_FLOOR = 20.0  # what the convolutional network must reach with all the images


def run(laboratory: Laboratory) -> list[Path]:
    """Trains both at every amount of data."""
    steps = laboratory.steps or _STEPS
    numbers: dict[str, dict[int, float]] = {name: {} for name in _MODELS}
    for name, (preset, _) in _MODELS.items():
        for amount in AMOUNTS:
            variant = f"{preset.removeprefix('digits-')}-{amount}"
            changes = [f"data.builtin_train={amount}", "augmentation.shift=0", "training.validate_every=1_000_000"]
            if laboratory.steps is None:
                changes.append(f"training.max_steps={_STEPS}")
            laboratory.train_classifier(variant, preset, changes)
            numbers[name][amount] = laboratory.metrics(variant, "test_accuracy")[-1][1]
    best = max(numbers["convolutional network"].values())
    laboratory.expect(best >= _FLOOR, f"the convolutional network to be right in {_FLOOR:.0f} %, got {best:.0f} %")
    curves = [
        Curve(name, [(float(amount), share) for amount, share in numbers[name].items()], colour, dots=True)
        for name, (_, colour) in _MODELS.items()
    ]
    panel = CurvePanel(
        "Right answers on test images (%); guessing gives 10",
        curves,
        "training images (logarithmic)",
        y_range=(0.0, 100.0),
        log_x=True,
        ticks=[(float(amount), f"{amount:,}") for amount in AMOUNTS],
    )
    path = laboratory.draw("data.png", "Low inductive bias: what a Vision Transformer needs is data", [[panel]])
    return [path, laboratory.save({"test_accuracy_by_images": numbers, "steps": steps})]
