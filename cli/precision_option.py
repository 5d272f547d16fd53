"""The option --precision, the same for every command that runs a model."""

from __future__ import annotations

import click

# As attnkit.load takes them; to ask it would import the core before --help is shown.
precision_option = click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "int8"]),
    default="fp32",
    help="Of the arithmetic; int8 is the fastest.",
    show_default=True,
)
