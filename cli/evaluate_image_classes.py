"""`attnkit evaluate` for classifiers of images, CLIP too: accuracy, and the scores of each class."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .shared.class_report import report_classes
from .shared.data_options import image_data, own_or, renaming
from .shared.line_counter import line_counter
from .shared.loading import load_for


def run(
    model: str,
    *,
    source: str | None,
    split: Any,
    reference: str | None,
    classes: str | None,
    rename: tuple[str, ...],
    labels: str | None,
    prompt_template: str | None,
    precision: Any,
    threads: int | None,
    batch_images: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Classifies labelled images and prints how often that was right."""
    from attnkit.data.labels import renamed
    from attnkit.tasks.classify_images.zero_shot import PLACE, split_labels

    if classes is not None and reference is None:
        raise click.UsageError("--classes is for MNIST's format, whose labels are --reference; others have names")
    names = renaming(rename)
    options["classes"] = None if classes is None else tuple(split_labels(classes))
    data = own_or(model, source, split, lambda path: image_data(*_files(path, reference), options))
    if data.labels is None:
        raise ValueError("[evaluate] expected images with labels, got none")
    data = replace(data, labels=renamed(data.labels, names))
    classifier = load_for("classify", model, precision, threads)
    if classifier.reads == "images-and-texts":
        chosen = data.classes() if labels is None else split_labels(labels)
        classifier = classifier.labelled(chosen, PLACE if prompt_template is None else prompt_template)
    start = time.perf_counter()
    with line_counter(total=len(data), what="images") as advance:
        found = classifier.evaluate(data, batch_images=batch_images or 64, done=advance)
    report_classes(found, "images", time.perf_counter() - start, as_json)


def _files(source: str, reference: str | None) -> tuple[str, tuple[str, ...]]:
    """The format of the data, and its files."""
    if reference is not None:
        return "idx", (source, reference)
    return ("folder" if Path(source).is_dir() else "list"), (source,)
