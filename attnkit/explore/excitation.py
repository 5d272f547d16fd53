"""Which channels squeeze-and-excitation opens for which class, layer by layer.

A convolutional network names the colour and the shape of one thing on a ground of any kind; each of its blocks has
gates, by which the whole image multiplies each channel (Hu et al., 2018). As in that paper's figures of activations by
class and depth, a row is the mean gate of a class's test images, channel by channel. How much of the gates the class
decides is measured as the share of their variance, over images, that lies between classes, between colours and between
shapes: gates that react to light or ground alone would have none.
"""

from __future__ import annotations

import random as plain_random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnkit import nn
from attnkit._core import Tensor, manual_seed
from attnkit._tensor import no_grad
from attnkit.explain.drawing.chart import BLUE, GREEN, ORANGE, Curve, CurvePanel
from attnkit.explain.drawing.matrix import MatrixPanel
from attnkit.explore.laboratory import Laboratory
from attnkit.explore.small import fit
from attnkit.models.cnn import CNN
from attnkit.models.cnn_config import CNNConfig
from attnkit.vision.shapes import Scene, Thing, draw
from attnkit.vision.shapes.scene import SHAPES, SIDE, SIZES

_STEPS = 250
_COLOURS = ("red", "green", "blue")
CLASSES = [(colour, shape) for colour in _COLOURS for shape in SHAPES]
_WIDTHS = (16, 32, 64)
_DRAWN, _TESTED, _BATCH = 200, 50, 32  # images of a class to learn from and to test on; images of a batch
_FLOOR = 85.0


def run(laboratory: Laboratory) -> list[Path]:
    """Trains the network, and measures its gates on images that it has not seen."""
    steps = laboratory.steps or _STEPS
    laboratory.note("training a convolutional network with gates")
    manual_seed(laboratory.seed)
    model = CNN(CNNConfig(widths=_WIDTHS, blocks=2, squeeze_excitation=True), len(CLASSES))
    images, labels = pictures(_DRAWN, laboratory.seed)

    def logits(random: np.random.Generator) -> tuple[Tensor, np.ndarray]:
        chosen = random.integers(0, len(images), _BATCH)
        return model(images[chosen]), labels[chosen]

    fit(model, logits, steps, 0.003, laboratory.seed)
    model.eval()
    images, labels = pictures(_TESTED, laboratory.seed + 1)
    found, right = gates_of(model, images, labels)
    laboratory.expect(right >= _FLOOR, f"{_FLOOR:.0f} % of the things named, got {right:.0f} %")
    shares = {name: explained(gates, labels) for name, gates in found.items()}
    means = {name: class_means(gates, labels) for name, gates in found.items()}
    figure = _draw(laboratory, means, shares)
    by_class = {name: dict(zip(_names(), rows.tolist(), strict=True)) for name, rows in means.items()}
    numbers = {"accuracy": right, "explained": shares, "gates": by_class, "steps": steps}
    return [figure, laboratory.save(numbers)]


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """So many images of each class, float32 [N, SIDE, SIDE, 3] around 0, and their classes int32 [N]."""
    random = plain_random.Random(f"excitation {seed}")
    images, labels = [], []
    for label, (colour, shape) in enumerate(CLASSES):
        for _ in range(count):
            size = random.choice(tuple(SIZES))
            x, y = (random.uniform(SIZES[size] + 1, SIDE - SIZES[size] - 1) for _ in range(2))
            scene = Scene((Thing(size, colour, shape, x, y, SIZES[size]),), random.getrandbits(32))
            images.append(draw(scene))
            labels.append(label)
    return (np.stack(images).astype(np.float32) / 127.5 - 1.0), np.array(labels, np.int32)


def gates_of(model: CNN, images: np.ndarray, labels: np.ndarray) -> tuple[dict[str, np.ndarray], float]:
    """The gates of each block, [N, channels], and how many percent of the images are named rightly."""
    found: dict[str, list[np.ndarray]] = {}
    right = 0
    with no_grad():
        for begin in range(0, len(images), 100):
            with nn.watching(model) as seen:
                best = model(images[begin : begin + 100]).numpy().argmax(axis=1)
            right += int((best == labels[begin : begin + 100]).sum())
            for each in seen:
                stage, block = (int(part) + 1 for part in each.name.split(".") if part.isdigit())
                found.setdefault(f"stage {stage}, block {block}", []).append(each.weights.numpy().copy())
    return {name: np.concatenate(parts) for name, parts in found.items()}, 100.0 * right / len(images)


def class_means(gates: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """[classes, channels]."""
    return np.stack([gates[labels == label].mean(axis=0) for label in range(len(CLASSES))])


def explained(gates: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The share, in percent, of the variance of gates [N, channels] that lies between classes, colours, shapes."""
    groups = {
        "class": labels,
        "colour": np.array([_COLOURS.index(CLASSES[label][0]) for label in labels]),
        "shape": np.array([SHAPES.index(CLASSES[label][1]) for label in labels]),
    }
    whole = gates.astype(np.float64).var(axis=0).sum()
    return {name: 100.0 * float(_between(gates, group) / max(whole, 1e-30)) for name, group in groups.items()}


def _between(gates: np.ndarray, group: np.ndarray) -> Any:
    """The variance of the groups' means, each counted as often as it has images, added over channels."""
    middle = gates.astype(np.float64).mean(axis=0)
    return sum(
        (group == each).mean() * (gates[group == each].astype(np.float64).mean(axis=0) - middle) ** 2
        for each in np.unique(group)
    ).sum()


def _names() -> list[str]:
    return [f"{colour} {shape}" for colour, shape in CLASSES]


def _draw(laboratory: Laboratory, means: Mapping[str, np.ndarray], shares: Mapping[str, Mapping[str, float]]) -> Path:
    """Of each stage the last block, its channels in the order in which their gates differ most between classes."""
    last = {name.split(",")[0]: name for name in means}
    panels = []
    for number, (stage, name) in enumerate(last.items()):
        order = np.argsort(-means[name].std(axis=0), kind="stable")[:16]
        names, channels = _names() if number == 0 else (), [str(channel + 1) for channel in order]
        panels.append(
            MatrixPanel(
                f"{stage.capitalize()}, 16 of {means[name].shape[1]} channels",
                means[name][:, order],
                names,
                channels,
                numbers=False,
            )
        )
    curve = CurvePanel(
        "How much of the gates' variance is decided by the class, the colour, the shape (%)",
        [
            Curve(what, [(float(depth), share[what]) for depth, share in enumerate(shares.values(), start=1)], colour,
                  dots=True)
            for what, colour in (("class", BLUE), ("colour", ORANGE), ("shape", GREEN))
        ],
        "block, from the image to the answer",
        from_zero=False,
        y_range=(0.0, 100.0),
        ticks=[(float(depth), name) for depth, name in enumerate(shares, start=1)],
    )  # fmt: skip
    title = "Squeeze and excitation: which channels open for which class"
    return laboratory.draw("excitation.png", title, [panels, [curve]], heights=[1.5, 1.0])
