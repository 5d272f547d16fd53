"""What `attnkit bench classify` and `attnkit bench caption` have in common: whose model, and which images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from attnkit.benchmark.pictures import Pictures
from attnkit.benchmark.subject import Subject, opened

from ..shared.loading import name_options
from .output import against_option, say
from .subject import MODEL_HELP, model_folder

F = TypeVar("F", bound=Callable[..., Any])


def image_options(count: str, batch: str) -> Callable[[F], F]:
    """count, batch: the defaults, in words."""
    options = (
        click.option("--batch", type=click.IntRange(1), help=f"Images at once.  [default: {batch}]"),
        click.option("--count", type=click.IntRange(1), help=f"Images, at most.  [default: {count}]"),
        click.option(
            "--images",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            metavar="FOLDER",
            help="Images of a folder and those in it.  [default: noise]",
        ),
        against_option("torch", help="torch: also run the checkpoint by transformers on PyTorch."),
        name_options,
        click.option("--model", "named", metavar="DIR|NAME", help=f"{MODEL_HELP[:-1]}, in place of a SIZE."),
    )

    def add(command: F) -> F:
        for option in options:
            command = option(command)
        return command

    return add


@contextmanager
def chosen_subject(
    size: str | None, named: str | None, against: tuple[str, ...], make: Callable[[str], Any]
) -> Iterator[Subject]:
    """The subject of --model, or of a SIZE, which `make` makes a context of that gives its folder."""
    with ExitStack() as stack:
        model = model_folder(named, against) if named is not None else stack.enter_context(make(str(size)))
        yield stack.enter_context(opened(model, say))


def size_unless(named: str | None, size: str | None, default: str) -> str | None:
    """The SIZE; None where there is a --model. Raises click.UsageError where there are both."""
    if named is not None and size is not None:
        raise click.UsageError(f"expected a SIZE or --model, got both {size} and {named}")
    return None if named is not None else size or default


def title_of(size: str | None, named: str | None) -> str:
    return size or Path(str(named)).resolve().name  # by name, the folder has none of its own


def shown_images(pictures: Pictures) -> str:
    count, rows, columns, _ = pictures.pixels.shape
    return f"{count} images of {rows} x {columns}"
