"""attnkit embed: texts or images in, a vector of each out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import click

from .shared import errors
from .shared.batch_job import batch_choice, batch_options, run_batch
from .shared.device_option import device_option
from .shared.line_counter import line_counter
from .shared.loading import load_for, name_options
from .shared.noticed import Noticed
from .shared.outputs import Remembered, opened
from .shared.run_options import (
    FILE,
    batch_tokens_option,
    check_text,
    precision_option,
    threads_option,
    window_option,
)

if TYPE_CHECKING:
    from attnkit.data.arrivals import Paused
    from attnkit.tasks.embed.embedder import Embedder, Embedding

_MATRIX = ".npy"
_Writer = Callable[[str, "Embedding"], object]


@click.command("embed")
@click.argument("model", type=click.Path())
@click.argument("inputs", nargs=-1, type=FILE, metavar="[FILE]...")
@click.option(
    "-i", "--input", "more", type=FILE, multiple=True, metavar="FILE", help="As FILE.", show_default="standard input"
)
@click.option(
    "-o",
    "--output",
    type=FILE,
    default="-",
    metavar="FILE",
    help=".npy: one float32 matrix; else JSON lines. Written whole or not at all.",
    show_default="standard output",
)
@click.option("--prompt", metavar="NAME", callback=check_text, help="Of the model's prompts, put before each text.")
@click.option(
    "--normalize/--no-normalize", default=None, help="Vectors of length 1, or as they are.", show_default="the model's"
)
@click.option("--text-key", metavar="KEY", callback=check_text, help="Inputs are JSON lines, each text under KEY.")
@precision_option
@threads_option
@device_option
@name_options
@batch_tokens_option("4096")
@click.option("--batch-images", type=click.IntRange(1), metavar="N", help="Images at once.", show_default="64")
@window_option("texts", "1024")
@batch_options
def command(
    model: str,
    inputs: tuple[str, ...],
    more: tuple[str, ...],
    output: str,
    prompt: str | None,
    normalize: bool | None,
    text_key: str | None,
    precision: Any,
    threads: int | None,
    batch_tokens: int | None,
    batch_images: int | None,
    window: int | None,
    **arguments: Any,
) -> None:
    """Make a vector of each text, or image, with MODEL, a directory or a name, for search and comparison.

    FILE has a text a line, .gz too; - or none is standard input. N lines in are N vectors out, in order: rows of a
    matrix (-o vectors.npy), or JSON lines with text, vector and truncated. An empty line has a vector too, that of the
    tokens around every text.

    A model of images and texts (CLIP, SigLIP) makes vectors of images too, to be compared with those of texts: FILE is
    an image, a pattern or a folder, and JSON lines have image and vector. One that cannot be read is named on standard
    error, and has no vector.

    \b
    attnkit embed sentence-transformers/all-MiniLM-L6-v2 texts.txt -o vectors.npy
    attnkit embed runs/clip photos/*.jpg > vectors.jsonl
    """
    from . import embed_images

    files = (*inputs, *more)
    images = embed_images.are_images(files)
    if batch_images is not None and not images:
        raise click.UsageError("--batch-images is for images; these are texts")
    if images and arguments.get("ray") is not None:
        raise click.UsageError("--ray goes with texts here, not with images")
    batch = batch_choice(arguments, files, output)
    if batch is not None:
        options = {"prompt": prompt, "normalize": normalize, "batch_tokens": batch_tokens, "window": window}
        run_batch(
            batch,
            "embed",
            model,
            files,
            output,
            options,
            precision=precision,
            threads=threads,
            jsonl=True,
            text_key=text_key,
        )
        return
    if output.endswith(_MATRIX):
        _check_matrix(output)
    if images:
        options = {"prompt": prompt, "text_key": text_key, "batch_tokens": batch_tokens, "window": window}
        embed_images.run(
            model, files, output, _rows if output.endswith(_MATRIX) else None, normalize=normalize,
            precision=precision, threads=threads, batch_images=batch_images, **options,
        )  # fmt: skip
        return
    embedder: Embedder = load_for("embed", model, precision, threads)
    texts = Remembered(_texts(files or ("-",), text_key))
    given = {"batch_tokens": batch_tokens, "window": window}
    results = embedder.embed_stream(
        texts, prompt=prompt, normalize=normalize, **{name: value for name, value in given.items() if value is not None}
    )
    cut = Noticed()
    writer = _matrix(output, embedder.width) if output.endswith(_MATRIX) else _lines(output)
    with writer as write, line_counter(output != "-") as advance:
        for number, result in enumerate(results, start=1):
            write(texts.take(), result)
            if result.truncated:
                cut.add(str(number))
            advance()
    if cut.count:
        what = f"text {cut.names()}" if cut.count == 1 else f"texts {cut.names()}"
        errors.say(f"{cut.describe('text', 'texts')} longer than the model reads, which saw the beginning: {what}")


def _texts(inputs: tuple[str, ...], text_key: str | None) -> Iterator[str | Paused]:
    from attnkit.data.lines import arriving_texts

    for path in inputs:
        yield from arriving_texts(path, text_key)


def _check_matrix(output: str) -> None:
    """Raises click.UsageError for what is no file: the number of rows stands first, and is known last."""
    from attnkit.files import is_stream

    if is_stream(output):
        raise click.UsageError(f"--output: expected a file for a matrix, got {output}, in which nothing can go back")


def _rows(output: str, width: int) -> AbstractContextManager[Callable[..., object]]:
    from attnkit.data.matrix_file import matrix_file

    return matrix_file(output, width)


@contextmanager
def _matrix(output: str, width: int) -> Iterator[_Writer]:
    with _rows(output, width) as append:
        yield lambda text, result: append(result.vector)


@contextmanager
def _lines(output: str) -> Iterator[_Writer]:
    from attnkit.tasks.embed.lines import json_line

    with opened(output) as write:
        yield lambda text, result: write(json_line(text, result))
