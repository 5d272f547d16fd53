"""Options that are the same for every command that runs a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .outputs import check_beside, check_drawing


def check_text(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """A callback of options that take text: refuses bytes that are none."""
    for text in (value,) if isinstance(value, str) else value or ():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise click.BadParameter("expected UTF-8 text") from None
    return value


FILE = click.Path(allow_dash=True)  # shells complete it

output_option = click.option(
    "-o",
    "--output",
    type=FILE,
    default="-",
    metavar="FILE",
    help="Written whole or not at all.",
    show_default="standard output",
)


def batch_tokens_option(default: str) -> Callable[[Any], Any]:
    """default: in words, what is taken where the option is not given."""
    return click.option(
        "--batch-tokens", type=click.IntRange(1), metavar="N", help="Tokens at once.", show_default=default
    )


def window_option(of: str, default: str) -> Callable[[Any], Any]:
    """How much of a stream of inputs, such as "lines", is read ahead."""
    return click.option(
        "--window",
        type=click.IntRange(1),
        metavar="N",
        help=f"Most {of} read before any is written.",
        show_default=default,
    )


attention_option = click.option(
    "--attention",
    type=FILE,
    metavar="FILE",
    callback=check_drawing,
    help="Also draw the attention: .html, .png, .svg or .json.",
)

_alignments = click.option(
    "--alignments",
    type=FILE,
    metavar="FILE",
    callback=check_beside,
    help="Also write word alignments, `0-0 1-2` a line: the source word of each target word.",
)
_alignment_threshold = click.option(
    "--alignment-threshold",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="W",
    help="And others with this much attention; 0.2 for a model with guided alignment.",
)


def alignments_options(command: Any) -> Any:
    """Both, in this order."""
    return _alignments(_alignment_threshold(command))


_from = click.option(
    "--from",
    "source_language",
    metavar="LANGUAGE",
    callback=check_text,
    help="Of the text, where the model reads several.",
    show_default="the model's own, if it has one",
)
_to = click.option(
    "--to",
    metavar="LANGUAGE",
    callback=check_text,
    help="Of the languages that the model writes, where it has several.",
)


def language_options(command: Any) -> Any:
    """Both, in this order."""
    return _from(_to(command))


# As attnkit.load takes them; to ask it would import the core before --help is shown.
precision_option = click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "int8"]),
    help="Of the arithmetic; int8 is the fastest.",
    show_default="fp32, or int8 for a model whose weights are",
)

THREADS = click.IntRange(1, 1024)  # what the core takes

threads_option = click.option(
    "--threads",
    type=THREADS,
    metavar="N",
    help="Threads.",
    show_default="the cores that this process may use",
)

then_option = click.option(
    "--then",
    type=click.Path(),
    metavar="MODEL",
    help="A second model, which translates what the first one writes: pairs without English go through English.",
)

prompt_option = click.option(
    "--prompt",
    metavar="TEXT",
    callback=check_text,
    help="What is put before each text, of a model that reads such (T5): one of its own by name, or the text itself.",
)

shortlist_option = click.option(
    "--shortlist",
    type=FILE,
    metavar="FILE|auto",
    help="Only likely target tokens (attnkit shortlist); auto: the model's own list.",
    show_default="none, or auto where the model was converted with one",
)
