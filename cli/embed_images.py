"""`attnkit embed` for images, by a model of images and texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .shared.image_inputs import ImageInputs
from .shared.line_counter import line_counter
from .shared.loading import directory_of, load_for
from .shared.outputs import opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from attnkit.tasks.classify_images.zero_shot import ZeroShotClassifier

    _Target = AbstractContextManager[Callable[..., object]]

BATCH_IMAGES = 64


def are_images(inputs: tuple[str, ...]) -> bool:
    """Whether inputs are images, patterns or folders of them, by their names. Raises click.UsageError where some are
    and others are not."""
    from attnkit.vision.images import SUFFIXES

    found = [Path(name).suffix.lower() in SUFFIXES or Path(name).is_dir() for name in inputs]
    if any(found) and not all(found):
        raise click.UsageError(f"expected images or files of texts, got both: {inputs[found.index(False)]} is no image")
    return any(found)


def run(
    model: str,
    inputs: tuple[str, ...],
    output: str,
    matrix: Callable[[str, int], _Target] | None,
    *,
    normalize: bool | None,
    precision: Any,
    threads: int | None,
    batch_images: int | None,
    **of_texts: Any,
) -> None:
    """Writes a vector of each image. matrix: what opens the output where it is one. of_texts: options that are for
    texts. Raises click.UsageError for these, and for a model that reads no images."""
    for name, value in of_texts.items():
        if value is not None:
            raise click.UsageError(f"--{name.replace('_', '-')} is for texts; {inputs[0]} is an image")
    if directory_of(model).reads != "images-and-texts":
        raise click.UsageError(f"expected files of texts, which this model reads, got the image {inputs[0]}")
    loaded: ZeroShotClassifier = load_for("classify", model, precision, threads)
    images = ImageInputs(inputs, loaded.read, None)
    vectors = loaded.embed_images_stream(
        images, normalize=normalize is not False, batch_images=batch_images or BATCH_IMAGES
    )
    target: _Target = opened(output) if matrix is None else matrix(output, loaded.width)
    with target as write, line_counter(output != "-", what="images") as advance:
        for vector in vectors:
            name, _ = images.take()
            write(vector if matrix is not None else _line(name, vector))
            advance()
    images.finish()


def _line(name: str, vector: Any) -> bytes:
    # json, unlike msgspec, has an escape for the names that are not text.
    record = json.dumps({"image": name, "vector": vector.tolist()}, ensure_ascii=False, separators=(",", ":"))
    return record.encode("utf-8", "backslashreplace") + b"\n"
