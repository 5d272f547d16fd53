"""The options that say how labelled data is written, by the names that they have in [data] of a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import errors
from .loading import located
from .run_options import FILE, check_text

_OPTIONS = (
    click.option(
        "--split",
        type=click.Choice(["test", "validation"]),
        help="Of the data of the run that made the model, where there is no --source.",
        show_default="test, if it has some",
    ),
    click.option("--text-key", metavar="KEY", help="What JSON lines call the text.", show_default="text"),
    click.option("--summary-key", metavar="KEY", help="What they call its summary.", show_default="summary"),
    click.option("--label-key", metavar="KEY", help="What they, or a list, call the label.", show_default="label"),
    click.option("--image-key", metavar="KEY", help="What a list calls the image's file.", show_default="image"),
    click.option("--caption-key", metavar="KEY", help="What a list calls the caption.", show_default="caption"),
    click.option(
        "--images", type=FILE, metavar="DIR", help="Of the images that a list names.", show_default="the list's own"
    ),
    click.option("--outside-images", is_flag=True, help="A list that you trust may name images outside that folder."),
    click.option(
        "--classes",
        metavar="LIST|FILE",
        callback=check_text,
        help="Names of the labels 0, 1, 2, ... in MNIST's format.",
    ),
    click.option(
        "--rename",
        multiple=True,
        metavar="OLD=NEW",
        callback=check_text,
        help="What the model calls a label of the data, neg=NEGATIVE say. Repeatable.",
    ),
)


def data_options(command: Any) -> Any:
    """All of them, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def own_or(model: str, source: str | None, split: Any, read: Callable[[str], Any]) -> Any:
    """The data of `source`, as `read` reads it; where there is none, those of the run that made MODEL."""
    if source is not None:
        return read(source)
    from attnkit.tasks.own_data import own_data
    from attnkit.tasks.run import CONFIG_FILE

    folder = Path(located(model))
    if not (folder / CONFIG_FILE).is_file():
        raise click.UsageError("Missing option '--source'.")
    data, found = own_data(folder, split)
    errors.tell(f"{found} data of {folder / CONFIG_FILE}")
    return data


def renaming(pairs: tuple[str, ...]) -> dict[str, str]:
    """What --rename was given, {old: new}. Raises click.UsageError for what is no pair, and a label that has two new
    names."""
    names: dict[str, str] = {}
    for pair in pairs:
        old, sign, new = pair.partition("=")
        if not sign or not old or not new or old in names:
            raise click.UsageError(f"--rename: expected OLD=NEW, once for each label of the data, got {pair!r}")
        names[old] = new
    return names


def image_data(kind: str, files: tuple[str, ...], options: dict[str, Any]) -> Any:
    """The `ImageData` of files of this kind, "folder", "list" or "idx", as training reads it. Raises OSError or
    ValueError."""
    from attnkit.vision.config import ImageDataConfig

    names = ("images", "image_key", "caption_key", "label_key", "outside_images", "classes")
    given: Any = {name: options[name] for name in names if options[name]}
    return ImageDataConfig(format=kind, train=files, **given).read("train")  # type: ignore[arg-type]
