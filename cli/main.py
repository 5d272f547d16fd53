"""The command `attnkit`: the list of commands, and the one place where a run ends."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

import attnkit

from .completion import VARIABLE
from .shared import errors, streams

# A command's module is imported when it is called, so that `attnkit --help` does not wait for all of them.
COMMANDS = {
    "train": "Train a model from a configuration file or a preset.",
    "translate": "Translate text, line by line, from a file or stdin.",
    "classify": "Name the class of each text or image, and what decided.",
    "caption": "Say in a sentence what each image shows.",
    "summarize": "Say in a few sentences what documents say.",
    "generate": "Write texts with a language model.",
    "embed": "Make a vector of each text, to search and compare.",
    "models": "List the models that have a name; remove one.",
    "pull": "Fetch a model by its name, or its newest release.",
    "convert": "Make a model of a public checkpoint (BERT, ViT, T5).",
    "attention": "Show what a model looks at, in all layers and heads.",
    "evaluate": "Measure a model where the right answers are known.",
    "inspect": "Show what is in a model.",
    "explore": "Do an experiment on attention, and draw it.",
    "shortlist": "Count which words can translate which, for speed.",
    "bench": "Measure speed on this machine, beside its peers.",
    "doctor": "Show what this machine can do.",
    "completion": "Print the completion script of a shell.",
}


class LazyGroup(click.Group):
    """Commands are modules of this package; each has a Click command named `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f".{cmd_name}", __package__).command
        assert isinstance(command, click.Command)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In one line behind the text: with a line for each command, all must fit a screen."""
        formatter.write_text("  Options: --version; -h or --help, of each command too.")
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(attnkit.__version__, message="attnkit %(version)s")
def group() -> None:
    """Attention models on an ordinary CPU. Results: stdout; all else: stderr."""


def run(arguments: Sequence[str], name: str = "attnkit") -> None:
    """Does one command; every failure is an exception (`errors.status_of` turns it into a line and a status). `name` is
    what usage lines call the program."""
    instruction = os.environ.get(VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete

        raise click.exceptions.Exit(shell_complete(group, {}, "attnkit", VARIABLE, instruction))
    with group.make_context(name, list(arguments)) as context:
        group.invoke(context)


def main(name: str = "attnkit") -> None:
    """The entry point of the console script, and of `python -m attnkit`, which passes its name."""
    streams.open_missing()
    status = errors.status_of(lambda: run(sys.argv[1:], name))
    gc.freeze()  # else Python looks through everything once more before it ends
    sys.exit(status)


if __name__ == "__main__":
    main()
