"""`attnkit classify` for models that read images."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from .shared.image_inputs import ImageInputs
from .shared.line_counter import line_counter
from .shared.outputs import opened, report_drawings

if TYPE_CHECKING:
    from attnkit.explain import ImageMap
    from attnkit.tasks.classify_images.classifier import ImageClassification, ImageClassifier

    from .shared.attention_choice import ChosenMaps


def run(
    classifier: ImageClassifier,
    inputs: tuple[str, ...],
    *,
    output: str,
    top: int,
    jsonl: bool,
    attention: str | None,
    chosen: ChosenMaps | None,
    **of_texts: Any,
) -> None:
    """Classifies the images of the inputs and writes what `attnkit classify --help` says.

    Raises click.UsageError for options that are for texts, and where there is nothing to look at or to show.
    """
    from attnkit.explain import write_images
    from attnkit.tasks.classify_images.lines import json_line, text_line

    for name, value in of_texts.items():
        if value is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} is for texts; this model reads images")
    if not inputs:
        raise click.UsageError("expected images: this model reads them, not text")
    drawn = attention is not None and chosen is None
    if drawn and not classifier.attends:
        raise click.UsageError("--attention: this model has no attention to show")
    images = ImageInputs(inputs, classifier.read, classifier.preprocessing.shown if drawn else None)
    results = classifier.classify_stream(images, top=top, attention=drawn)
    maps: list[ImageMap] = []
    with opened(output) as write, line_counter(output != "-" or not sys.stdout.isatty()) as advance:
        for result in results:
            name, square = images.take()
            write(json_line(name, result) if jsonl else text_line(name, result))
            if chosen is not None:
                chosen.add(classifier.attention(name))
            elif drawn:
                maps.append(_map(square, name, result))
            advance()
    if attention is not None and chosen is not None:
        chosen.save(attention, "images")
    elif attention is not None:
        report_drawings(write_images(attention, maps), len(maps), "images")
    images.finish()


def _map(square: Any, name: str, result: ImageClassification) -> ImageMap:
    from attnkit.explain import ImageMap

    assert result.attention is not None
    label = f"{result.label} {100 * result.probability:.1f} %"
    return ImageMap(square, [label], result.attention[None], title=name, caption=label)
