"""attnkit attention: all that a model looks at in one text or image."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .shared.attention_choice import Choice, ChosenMaps, choice_options, taken_choice
from .shared.device_option import device_option
from .shared.image_inputs import ImageInputs
from .shared.loading import load_any, name_options
from .shared.outputs import check_drawing
from .shared.run_options import FILE, check_text, language_options, precision_option, threads_option

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps

_NARROW, _WIDE = 40, 100  # columns
_HOW = "--kind, --layer, --head and --word choose; -o FILE.html draws all of it."


@click.command("attention")
@click.argument("model", type=click.Path())
@click.argument("input", type=FILE, default="-", metavar="[TEXT|IMAGE|-]")
@click.option("--target", metavar="TEXT", callback=check_text, help="What the model is to write, in place of its own.")
@choice_options()
@click.option("-o", "--output", type=FILE, metavar="FILE", callback=check_drawing, help=".html, .png, .svg or .json.")
@language_options
@precision_option
@threads_option
@device_option
@name_options
def command(
    model: str,
    input: str,
    target: str | None,
    output: str | None,
    source_language: str | None,
    to: str | None,
    precision: Any,
    threads: int | None,
    **arguments: Any,
) -> None:
    """Show what MODEL, a directory or a name, looks at in a text, or in an image where it reads those.

    - reads a text a line, or a list of images, and - is what is read where nothing is said. Without FILE it is shown
    here: the kinds of attention that there are and the first of them, or those that are chosen.

    \b
    attnkit attention models/en-de "The animal was too tired" -o it.html
    attnkit attention models/en-de "The animal was too tired" --kind encoder --layer 2 --word tired
    """
    choice = taken_choice(arguments)
    if target is not None and input == "-":
        raise click.UsageError("--target: expected one TEXT or IMAGE with it, got a list of them")
    loaded = load_any(model, precision, threads)
    options = {name: value for name, value in (("source_language", source_language), ("to", to)) if value is not None}
    if options and not hasattr(loaded, "languages"):
        raise click.UsageError("--from, --to: expected a translator with them")
    found = ChosenMaps(choice or Choice())
    images = ImageInputs((input,), loaded.read, None) if _sees(loaded, input) else None
    for maps in _of_images(loaded, images, target) if images else _of_texts(loaded, input, target, options):
        if output is not None:
            found.add(maps)
        elif (chosen := found.of(maps)) is not None:
            _show(chosen, with_table=choice is None)
    if output is None:
        found.check()
    else:
        found.save(output, "images" if images else "texts")
    if images:
        images.finish()


def _sees(loaded: Any, given: str) -> bool:
    """Whether the model is to look at images."""
    reads = getattr(loaded, "reads", "text")
    return bool(reads == "images" or (reads == "images-and-texts" and loaded.is_image(given)))


def _of_texts(loaded: Any, text: str, target: str | None, options: dict[str, Any]) -> Iterator[AttentionMaps]:
    """Of a text, or of all lines of standard input that are not empty."""
    from attnkit.data.lines import read_lines

    lines = [line for line in read_lines("-") if line.strip()] if text == "-" else [text]
    if not lines:
        raise ValueError("standard input: expected a line with a word, got none")
    for line in lines:
        yield loaded.attention(line, target, **options)


def _of_images(loaded: Any, images: ImageInputs, target: str | None) -> Iterator[AttentionMaps]:
    """Of all that can be read; the others are named."""
    from attnkit.data.arrivals import PAUSE

    for picture in images:
        if picture is not PAUSE:
            maps = loaded.attention(picture, target)
            yield dataclasses.replace(maps, title=images.take()[0])


def _show(maps: AttentionMaps, with_table: bool) -> None:
    """On standard output: what was chosen, or a table of all and the first."""
    from attnkit.explain.maps.terminal import render_kind, render_kinds, render_maps

    width = max(_NARROW, min(_WIDE, shutil.get_terminal_size().columns))
    colour = sys.stdout.isatty()
    if with_table:
        first = next(iter(maps.values()))
        how = textwrap.fill(_HOW, width)
        shown = f"{render_kinds(maps, width)}\n{render_kind(first, colour, width)}\n{how}\n"
    else:
        shown = render_maps(maps, colour, width)
    # Tokens are harmless already, and colours must reach the terminal.
    sys.stdout.buffer.write((shown + "\n").encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
