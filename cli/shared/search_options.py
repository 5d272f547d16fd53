"""The options that choose a search, the same for every command that writes text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class SearchOption(NamedTuple):
    """A field of `attnkit.decoding.DecodingOptions` as an option, None unless given: what the library then does is
    `default`, for the help. `type` None is a flag; `of_model`: a model may bring a default of its own."""

    field: str
    type: Any
    metavar: str | None
    default: str | None
    help: str
    of_model: bool = False

    def decorator(self, texts: dict[str, str]) -> Callable[[F], F]:
        """`texts` fill the braces of `default` and `help`; `own` stands before the default of a model."""
        name, help = "--" + self.field.replace("_", "-"), self.help.format(**texts)
        if self.type is None:
            return click.option(name, is_flag=True, default=None, help=help)
        shown = self.default and (texts["own"] if self.of_model else "") + self.default.format(**texts)
        return click.option(name, type=self.type, metavar=self.metavar, help=help, show_default=shown)


# All but `rules`, `early_stopping`, `forced_end` and `renormalize`, which a converted model brings with it.
SEARCH_OPTIONS = (
    SearchOption("nbest", click.IntRange(1), "N", None, "N lines each: {nbest}, by tabs."),
    SearchOption("beam", click.IntRange(1), "N", "5", "Hypotheses followed; 1 is greedy.", True),
    SearchOption("min_length", click.IntRange(0), "N", "1", "Fewest tokens of an output.", True),
    SearchOption("max_length", click.IntRange(1), "N", "{max_length}", "Most tokens of an output.", True),
    SearchOption("length_penalty", float, "A", "1.0", "0 favours short output, more longer.", True),
    SearchOption("normalization", click.Choice(["average", "gnmt"]), None, "average", "Formula of the penalty.", True),
    SearchOption("no_repeat_ngram", click.IntRange(0), "N", "no rule", "No n-gram of this size twice.", True),
    SearchOption("repetition_penalty", float, "P", "1.0", "Over 1, what is written already is less likely.", True),
    SearchOption("sample", None, None, None, "Draw tokens at random instead of searching.", True),
    SearchOption("temperature", float, "T", "1.0", "Of the samples; under 1 is more careful.", True),
    SearchOption("top_k", click.IntRange(0), "K", "all", "Sample among the K likeliest tokens.", True),
    SearchOption("top_p", float, "P", "1.0", "Sample among the fewest tokens that have this share.", True),
    SearchOption("seed", click.IntRange(0), "N", "0", "Of the samples."),
)


def search_options_for(max_length: str, own: str = "", nbest: str | None = None) -> Callable[[F], F]:
    """A decorator that adds the options to a command, which hands its keyword arguments to `chosen_search`.

    `max_length` is what the help says of that option's default, `own` what it says before the defaults that a model may
    bring with it. `nbest` says what is on a line of the nbest; None for a command that has no such option.
    """
    texts = {"max_length": max_length, "own": own, "nbest": nbest or ""}

    def add(command: F) -> F:
        for option in reversed(SEARCH_OPTIONS):
            if option.field != "nbest" or nbest is not None:
                command = option.decorator(texts)(command)
        return command

    return add


def translation_options(nbest: str | None = None) -> Callable[[F], F]:
    """The options, for models that have a source of n tokens."""
    return search_options_for("2 n + 10", "the model's own, or ", nbest)


def chosen_search(arguments: dict[str, Any]) -> dict[str, Any]:
    """Takes the search's options out of a command's arguments, and returns those that were given."""
    given = {field: arguments.pop(field) for field, *_ in SEARCH_OPTIONS if field in arguments}
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def checked_search() -> Iterator[None]:
    """For the call that starts a search: what it refuses is bad usage. Only the model knows: it has limits, and perhaps
    defaults of its own, which the given options must go with."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(str(error)) from None
