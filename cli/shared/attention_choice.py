"""The options that choose among all that a model looks at: the same for every command that draws it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from .outputs import report_drawings
from .run_options import check_text

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps

F = TypeVar("F", bound=Callable[..., Any])
_NAMES = ("kind", "layer", "head", "word")


class Choice(NamedTuple):
    """What of a model's attention is wanted; None is all of it."""

    kind: str | None = None
    layer: int | None = None
    head: int | None = None
    word: str | None = None


def choice_options(kind: str = "That alone: encoder, decoder, cross, gates, ...") -> Callable[[F], F]:
    """A decorator that adds the options to a command, which hands its keyword arguments to `taken_choice` or
    `drawn_choice`. kind: the help of the first."""
    options = (
        click.option("--kind", metavar="NAME", callback=check_text, help=kind),
        click.option("--layer", type=click.IntRange(1), metavar="N", help="That layer alone, from 1."),
        click.option("--head", type=click.IntRange(1), metavar="N", help="That head alone, from 1."),
        click.option("--word", metavar="WORD", callback=check_text, help="What this word looks at, alone."),
    )

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def drawn_options(command: F) -> F:
    """The options of a command that has --attention, of which they choose."""
    return choice_options("In that FILE all layers and heads, of a kind: encoder, cross, gates, ...")(command)


def taken_choice(arguments: dict[str, Any]) -> Choice | None:
    """Takes the options out of a command's arguments; None where none was given."""
    given = Choice(**{name: arguments.pop(name) for name in _NAMES})
    return given if any(value is not None for value in given) else None


def drawn_choice(arguments: dict[str, Any], attention: str | None) -> ChosenMaps | None:
    """The same of a command that draws into the file `attention`. Raises click.UsageError for options without it."""
    choice = taken_choice(arguments)
    if choice is None:
        return None
    if attention is None:
        name = next(name for name, value in zip(_NAMES, choice, strict=True) if value is not None)
        raise click.UsageError(f"--{name}: expected --attention FILE with it")
    return ChosenMaps(choice)


class ChosenMaps:
    """The maps of many inputs, each with what is wanted of it. An input without the word that is wanted has none."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._missing: ValueError | None = None
        self._found = False
        self._maps: list[AttentionMaps] = []

    def of(self, maps: AttentionMaps) -> AttentionMaps | None:
        """What is wanted of them. Raises ValueError for a kind, a layer or a head that there is not."""
        if not maps:
            raise ValueError("[attention] expected a model that looks at something, got one without attention")
        kind, layer, head, word = self._choice
        chosen = maps.select(kind, layer, head)
        try:
            chosen = chosen if word is None else chosen.select(word=word)
        except ValueError as error:
            self._missing = error
            return None
        self._found = True
        return chosen

    def add(self, maps: AttentionMaps) -> None:
        """Keeps what is wanted of them, for `save`. Raises as `of` does."""
        if (chosen := self.of(maps)) is not None:
            self._maps.append(chosen)

    def check(self) -> None:
        """Raises ValueError where no input had the word."""
        if self._missing is not None and not self._found:
            raise self._missing

    def save(self, path: str, what: str) -> None:
        """Writes a file of all, and says where it is."""
        from attnkit.explain.maps.write import write_maps

        self.check()
        report_drawings(write_maps(path, self._maps) if self._maps else [], len(self._maps), what)
