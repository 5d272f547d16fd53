"""`attnkit inspect`: what is in a model directory."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from attnkit.printable import printable

from .shared.loading import located, name_options
from .shared.outputs import echo

if TYPE_CHECKING:
    from attnkit.tasks.inspect import Inspection


@click.command("inspect")
@click.argument("model", type=click.Path())
@name_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(model: str, as_json: bool) -> None:
    """Show the task, sizes, tokenizer and parameters of MODEL, a directory or a name."""
    from attnkit.tasks.inspect import inspect

    found = inspect(located(model))
    if as_json:
        echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
        return
    _print(found)


def _print(found: Inspection) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120)
    facts = Table.grid(padding=(0, 2))
    for name, value in found.lines():
        facts.add_row(Text(name), Text(printable(value)))
    parts = Table(box=None, pad_edge=False, padding=(0, 2), header_style="bold")
    parts.add_column("module")
    for name in ("shape", "parameters", "share"):
        parts.add_column(name, justify="right")
    for part in found.parts:
        shape = f"{part.tensors} tensors" if part.shape is None else " × ".join(map(str, part.shape))
        parts.add_row(Text(printable(part.name)), shape, f"{part.parameters:,}", f"{part.share:.1%}")
    parts.add_row("total", "", f"{found.parameters:,}", "100.0%")
    console.print(facts)
    console.print()
    console.print(parts)
