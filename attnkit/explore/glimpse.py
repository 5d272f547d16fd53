"""Hard attention as cropping: a network that sees a little at a time and learns where to look next.

A digit lies somewhere among pieces of others. Each glimpse is sharp for 12 pixels and coarse around them; a recurrent
state gathers the glimpses and chooses the next place, which REINFORCE teaches (Mnih et al., 2014). Beside it: the same
network that looks at random places, and a convolutional network that reads the whole image with some four times the
arithmetic of four glimpses. Guessing gives 10 %.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from attnkit.explain.drawing.canvas import TEXT, Canvas
from attnkit.explain.drawing.chart import BLUE, GREY, ORANGE, Box, Curve, CurvePanel, draw_curves
from attnkit.explain.drawing.slide import HEIGHT, WIDTH, draw_warning
from attnkit.explore.glimpse_drawing import Seen, draw_legend, draw_row
from attnkit.explore.laboratory import Laboratory
from attnkit.models.glimpse import Glimpse
from attnkit.tasks.classify_images.classifier import ImageClassifier
from attnkit.vision import digits

GLIMPSES = (1, 2, 4)
_TESTED = 2_000
_ROWS = 4
_GAIN = 10.0  # percentage points over random places that are to be seen


def run(laboratory: Laboratory) -> list[Path]:
    """Trains the network with each number of glimpses, at learned and at random places, and a convolutional network."""
    pixels, labels, corners = digits.draw("test", _TESTED)
    looking: ImageClassifier | None = None  # the last one at learned places
    numbers: dict[str, Any] = {"accuracy": {"learned places": {}, "random places": {}}}
    for glimpses in GLIMPSES:
        for places in ("learned", "random") if glimpses > 1 else ("learned",):
            name = f"{glimpses}-{places}"
            changes = [f"model.glimpses={glimpses}", f"model.places={places}"]
            classifier = laboratory.train_classifier(name, "digits-glimpse", changes)
            looking = classifier if places == "learned" else looking
            share = _accuracy(classifier, pixels, labels, glimpses if places == "random" else 0)
            numbers["accuracy"][f"{places} places"][glimpses] = share
        if glimpses == 1:  # the first glimpse is at the middle, whoever chooses the next
            numbers["accuracy"]["random places"][1] = share
    cnn = laboratory.train_classifier("cnn", "digits-cnn")
    numbers["accuracy"]["convolutional network, whole image"] = _accuracy(cnn, pixels, labels)
    assert looking is not None
    seen = _look(looking, pixels, labels)
    numbers["last glimpse: median pixels from the digit's middle"] = _missed(seen, corners)
    numbers["multiplications"] = {f"{count} glimpses": multiplications(looking.model, count) for count in GLIMPSES}
    gain = numbers["accuracy"]["learned places"][GLIMPSES[-1]] - numbers["accuracy"]["random places"][GLIMPSES[-1]]
    laboratory.expect(gain >= _GAIN, f"learned places to be {_GAIN:.0f} points better than random ones, got {gain:.0f}")
    return [_draw(laboratory, seen, numbers["accuracy"]), laboratory.save(numbers)]


def multiplications(model: Glimpse, glimpses: int) -> int:
    """How many an image takes: every weight of a matrix once a glimpse, but for the last layer's."""
    matrices = {name: weight.size for name, weight in model.named_parameters() if weight.ndim == 2}
    last = matrices.pop("head.weight")
    return glimpses * sum(size for name, size in matrices.items() if "baseline" not in name) + last


def _numbers(classifier: ImageClassifier, pixels: np.ndarray) -> np.ndarray:
    return classifier.preprocessing.numbers(pixels[..., None])


def _accuracy(classifier: ImageClassifier, pixels: np.ndarray, labels: np.ndarray, random: int = 0) -> float:
    """In percent. random: the number of glimpses of a model that looks at other places in every image."""
    chance = np.random.Generator(np.random.Philox(key=1))
    right: list[np.ndarray] = []
    for start in range(0, len(pixels), 250):
        images = _numbers(classifier, pixels[start : start + 250])
        if random:
            places = chance.uniform(-1.0, 1.0, (len(images), random, 2))
            places[:, 0] = 0.0
            answers = classifier.model.look(images, places).log_probs[:, -1]
        else:
            answers = classifier.model.predict(images).numpy()
        right.append(answers.argmax(axis=1) == labels[start : start + 250])
    return 100.0 * float(np.concatenate(right).mean())


def _look(classifier: ImageClassifier, pixels: np.ndarray, labels: np.ndarray) -> list[Seen]:
    """What the model saw of the first images."""
    images = _numbers(classifier, pixels[:500])
    places, log_probs = classifier.model.look(images)
    # The sensor on the pixels themselves, for people.
    crops = [classifier.model.sensor.crops(pixels[:500, ..., None], each) for each in places.transpose(1, 0, 2)]
    return [
        Seen(pixels[index], int(labels[index]), places[index], log_probs[index], np.stack([of[index] for of in crops]))
        for index in range(len(images))
    ]


def _missed(seen: list[Seen], corners: np.ndarray) -> float:
    middles = corners[: len(seen)] + digits.PATCH / 2
    looked = np.stack([(each.places[-1] + 1.0) / 2.0 * digits.SIDE for each in seen])
    return float(np.median(np.hypot(*(looked - middles).T)))


def _draw(laboratory: Laboratory, seen: list[Seen], accuracy: dict[str, Any]) -> Path:
    """Three images that the model reads and one that it does not, with its path; and the figures."""
    right = [each for each in seen if each.answers[-1] == each.label]
    wrong = [each for each in seen if each.answers[-1] != each.label]
    shown = [*right[: _ROWS - 1], *wrong[:1], *right[_ROWS - 1 :]][:_ROWS]
    canvas = Canvas(WIDTH, HEIGHT, smooth=2)
    canvas.text(36, 40, "Hard attention as cropping: where a network looks, and what it sees there", 22, TEXT)
    top = 72.0
    if laboratory.warning:
        top = draw_warning(canvas, top, laboratory.warning)
    draw_legend(canvas, top, len(seen[0].places))
    height = (HEIGHT - top - 34) / _ROWS
    for row, each in enumerate(shown):
        draw_row(canvas, top + 26 + row * height, height - 8, each)
    _draw_figures(canvas, top, accuracy)
    path = laboratory.folder / "glimpse.png"
    canvas.save(path)
    return path


def _draw_figures(canvas: Canvas, top: float, accuracy: dict[str, Any]) -> None:
    whole = accuracy["convolutional network, whole image"]
    curves = [
        Curve("learned places", _points(accuracy["learned places"]), BLUE, dots=True),
        Curve("random places", _points(accuracy["random places"]), ORANGE, dots=True),
        Curve("CNN, whole image", [(float(GLIMPSES[0]), whole), (float(GLIMPSES[-1]), whole)], GREY),
    ]
    panel = CurvePanel(
        "Right answers (%)",
        curves,
        "glimpses (guessing gives 10 %)",
        from_zero=False,
        y_range=(0.0, 100.0),
        ticks=[(float(count), str(count)) for count in GLIMPSES],
    )
    draw_curves(canvas, Box(746, top, WIDTH - 36 - 746, 420), panel)


def _points(shares: dict[int, float]) -> list[tuple[float, float]]:
    return [(float(count), share) for count, share in shares.items()]
