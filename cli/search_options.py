"""The options that choose a search, the same for every command that writes text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = [
    click.option("--beam", type=click.IntRange(1), metavar="N", help="Hypotheses followed; 1 is greedy.  [5]"),
    click.option("--min-length", type=click.IntRange(0), metavar="N", help="Fewest tokens of an output.  [1]"),
    click.option("--max-length", type=click.IntRange(1), metavar="N", help="Most tokens of an output.  [2 n + 10]"),
    click.option("--length-penalty", type=float, metavar="A", help="0 favours short output, more longer.  [1.0]"),
    click.option("--normalization", type=click.Choice(["average", "gnmt"]), help="Formula of the penalty.  [average]"),
    click.option("--no-repeat-ngram", type=click.IntRange(0), metavar="N", help="No n-gram of this size twice."),
    click.option("--sample", is_flag=True, default=None, help="Draw tokens at random instead of searching."),
    click.option("--temperature", type=float, metavar="T", help="Of the samples; under 1 is more careful.  [1.0]"),
    click.option("--top-k", type=click.IntRange(0), metavar="K", help="Sample among the K likeliest tokens."),
    click.option("--top-p", type=float, metavar="P", help="Sample among the tokens that have this share."),
    click.option("--seed", type=click.IntRange(0), metavar="N", help="Of the samples.  [0]"),
]
_NAMES = ("beam", "nbest", "min_length", "max_length", "length_penalty", "normalization", "no_repeat_ngram",
          "sample", "temperature", "top_k", "top_p", "seed")  # fmt: skip


def search_options(command: F) -> F:
    """Adds the options to a command; it hands its keyword arguments to `chosen_search`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen_search(arguments: dict[str, Any]) -> dict[str, Any]:
    """Takes the search's options out of a command's arguments, and returns those that were given.

    Raises click.UsageError where they contradict each other.
    """
    from attnkit.translator import decoding_options

    given = {name: arguments.pop(name) for name in _NAMES if name in arguments}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        decoding_options(**given)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return given
