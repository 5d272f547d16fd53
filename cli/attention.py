"""attnkit attention: all that a model looks at in one text or image."""

from __future__ import annotations

import sys
from typing import Any

import click

from .shared.loading import load_any, name_options
from .shared.outputs import check_drawing, report_drawings
from .shared.run_options import FILE, check_text, precision_option, threads_option


@click.command("attention")
@click.argument("model", type=click.Path())
@click.argument("input", type=FILE, default="-", metavar="[TEXT|IMAGE|-]")
@click.option("--target", metavar="TEXT", callback=check_text, help="What the model is to write, in place of its own.")
@click.option("--kind", metavar="NAME", help="encoder, decoder, cross, gates, ...: that alone.")
@click.option("--layer", type=click.IntRange(1), metavar="N", help="That layer alone, from 1.")
@click.option("--head", type=click.IntRange(1), metavar="N", help="That head alone, from 1.")
@click.option("--word", metavar="WORD", callback=check_text, help="What this word looks at, alone.")
@click.option("-o", "--output", type=FILE, metavar="FILE", callback=check_drawing, help=".html, .png, .svg or .json.")
@precision_option
@threads_option
@name_options
def command(
    model: str,
    input: str,
    target: str | None,
    kind: str | None,
    layer: int | None,
    head: int | None,
    word: str | None,
    output: str | None,
    precision: Any,
    threads: int | None,
) -> None:
    """Show what MODEL, a directory or a name, looks at in a text or an image.

    \b
    attnkit attention models/en-de "The animal was too tired" -o it.html
    attnkit attention models/en-de "The animal was too tired" --kind encoder --layer 2 --word it
    """
    loaded = load_any(model, precision, threads)
    text = sys.stdin.readline() if input == "-" else input
    chosen = loaded.attention(text, target).select(kind, layer, head, word)
    if output is None:
        for each in chosen.values():
            click.echo(f"{each.kind}: {each.layers} layers, {each.heads} heads, {len(each.queries)} x {len(each.keys)}")
        return
    report_drawings(chosen.save(output), 1, "inputs")
