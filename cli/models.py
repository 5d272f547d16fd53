"""`attnkit models`: which models there are by name, and which of them are here."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from attnkit.printable import printable

from .shared import errors
from .shared.loading import offline_option, said_of_names
from .shared.outputs import echo

if TYPE_CHECKING:
    from attnkit.hub.cache import Kept
    from attnkit.hub.listing import Row
    from attnkit.hub.names import Name


@click.group("models", invoke_without_command=True)
@click.option("--here", is_flag=True, help="Only those that are here.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@click.option("--jsonl", is_flag=True, help="JSON lines.")
@offline_option
@click.pass_context
def command(context: click.Context, here: bool, as_json: bool, jsonl: bool) -> None:
    """List the models that have a name, or do something with one that is here.

    Names are those of Firefox's translators, by the registry that Mozilla publishes (en-de), and of models of the
    Hugging Face Hub that are here (org/name). Quality is what Mozilla publishes: COMET-22 and BLEU on flores200-plus.
    """
    if context.invoked_subcommand is not None:
        return
    from attnkit.hub.listing import rows
    from attnkit.hub.resolve import is_offline

    found = rows(errors.say, offline=here or is_offline(said_of_names()["offline"]))
    if as_json:
        echo(json.dumps([row.as_dict() for row in found], indent=2, ensure_ascii=False))
    elif jsonl:
        for row in found:
            echo(json.dumps(row.as_dict(), ensure_ascii=False))
    else:
        _print(found)


@command.command("path")
@click.argument("name")
def path(name: str) -> None:
    """Print the folder of the model NAME, which is here."""
    releases = _releases(_parsed(name))
    if not releases:
        raise FileNotFoundError(f"{name}: not here (attnkit pull {name} fetches it)")
    echo(releases[0].model)


@command.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove the model NAME, and what is left of its downloads.

    Without a revision: every release of it that is here.
    """
    from attnkit.hub import cache

    parsed = _parsed(name)
    with cache.alone(parsed, errors.tell):
        downloads = cache.downloads(parsed)
        releases = _releases(parsed)
        if not releases and not downloads.exists():
            raise FileNotFoundError(f"{name}: not here")
        size = sum(each.bytes for each in releases)
        for each in releases:
            cache.forget(each)
        cache.clear(downloads)
    errors.tell(f"{name}: removed, {size / 1e6:,.0f} MB")


def _parsed(name: str) -> Name:
    from attnkit.hub.names import parse

    if (parsed := parse(name)) is None:
        raise ValueError(f"[models] {name}: expected a name, en-de or org/name, got a path")
    return parsed


def _releases(name: Name) -> list[Kept]:
    """Those of that name that are here, the one that it means first."""
    from attnkit.hub import cache

    meant = cache.find(name)
    others = cache.releases(name) if cache.revision_of(name) is None else []
    return [*([meant] if meant else []), *(each for each in others if each != meant)]


def _print(found: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2), header_style="bold")
    for name in ("name", "kind", "status"):
        table.add_column(name)
    for name in ("MB", "COMET", "BLEU"):
        table.add_column(name, justify="right")
    for name in ("licence", "here"):
        table.add_column(name)
    for row in found:
        quality = (_score(row.quality.get("comet22"), 100), _score(row.quality.get("bleu"), 1))
        size = f"{row.size / 1e6:,.0f}" if row.size else ""
        kind = f"{row.kind} {row.revision}" if row.kind == "mozilla" else row.kind
        cells = (row.name, kind, row.status or "", size, *quality, row.licence or "", "here" if row.here else "")
        table.add_row(*(Text(printable(cell)) for cell in cells))
    Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 120).print(table)


def _score(value: float | None, factor: int) -> str:
    return "" if value is None else f"{value * factor:.1f}"
