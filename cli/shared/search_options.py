"""The options that choose a search, the same for every command that writes text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def _option(name: str, kind: Any, metavar: str | None, default: str, help: str) -> Callable[[F], F]:
    """An option that is None unless given; `default` is what the library then does, for the help."""
    return click.option(name, type=kind, metavar=metavar, help=help, show_default=default)


def _options(max_length: str, own: str) -> list[Callable[[Any], Any]]:
    return [
        _option("--beam", click.IntRange(1), "N", f"{own}5", "Hypotheses followed; 1 is greedy."),
        _option("--min-length", click.IntRange(0), "N", f"{own}1", "Fewest tokens of an output."),
        _option("--max-length", click.IntRange(1), "N", f"{own}{max_length}", "Most tokens of an output."),
        _option("--length-penalty", float, "A", f"{own}1.0", "0 favours short output, more longer."),
        _option("--normalization", click.Choice(["average", "gnmt"]), None, f"{own}average", "Formula of the penalty."),
        _option("--no-repeat-ngram", click.IntRange(0), "N", f"{own}no rule", "No n-gram of this size twice."),
        click.option("--sample", is_flag=True, default=None, help="Draw tokens at random instead of searching."),
        _option("--temperature", float, "T", "1.0", "Of the samples; under 1 is more careful."),
        _option("--top-k", click.IntRange(0), "K", "all", "Sample among the K likeliest tokens."),
        _option("--top-p", float, "P", "1.0", "Sample among the fewest tokens that have this share."),
        _option("--seed", click.IntRange(0), "N", "0", "Of the samples."),
    ]


_NAMES = ("beam", "nbest", "min_length", "max_length", "length_penalty", "normalization", "no_repeat_ngram",
          "sample", "temperature", "top_k", "top_p", "seed")  # fmt: skip


def search_options_for(max_length: str, own: str = "") -> Callable[[F], F]:
    """A decorator that adds the options to a command, which hands its keyword arguments to `chosen_search`.

    `max_length` is what the help says of that option's default, `own` what it says before the defaults that a model may
    bring with it.
    """

    def add(command: F) -> F:
        for option in reversed(_options(max_length, own)):
            command = option(command)
        return command

    return add


search_options = search_options_for("2 n + 10", own="the model's own, or ")
"""The options, for models that have a source of n tokens."""


def chosen_search(arguments: dict[str, Any]) -> dict[str, Any]:
    """Takes the search's options out of a command's arguments, and returns those that were given."""
    given = {name: arguments.pop(name) for name in _NAMES if name in arguments}
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def checked_search() -> Iterator[None]:
    """For the call that starts a search: what it refuses is bad usage. Only the model knows: it has limits, and perhaps
    defaults of its own, which the given options must go with."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from None
