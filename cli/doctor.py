"""`attnkit doctor`: what this machine can do, and what attnkit makes of it."""

from __future__ import annotations

import json

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Show the CPU, its instruction sets, threads, the precision that pays, GPUs, versions and settings."""
    from attnkit.doctor import diagnose

    found = diagnose()
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
        return
    lines = found.lines()
    width = max(len(name) for name, _ in lines) + 2
    for name, value in lines:
        click.echo(f"{name:<{width}}{value}")
