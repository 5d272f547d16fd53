"""How `attnkit evaluate` prints what it measured."""

from __future__ import annotations

from typing import Any

import click

from .outputs import echo


def report(found: dict[str, Any], lines: list[str], as_json: bool) -> None:
    """Prints the figures, as one JSON object or in lines for people."""
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(found).decode())
    else:
        echo("\n".join(lines))


def timed(count: int, what: str, seconds: float) -> str:
    """`1,000 images in 35.2 s: 28.4 images/s`; what: the plural, with more said of them perhaps."""
    return f"{count:,} {what} in {seconds:.1f} s: {count / seconds:,.1f} {what.split(',')[0]}/s"
