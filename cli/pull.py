"""`attnkit pull`: a model by name comes here, or is brought up to date."""

from __future__ import annotations

import click

from .shared import errors
from .shared.loading import name_options, said_of_names
from .shared.outputs import echo


@click.command("pull")
@click.argument("name")
@name_options
def command(name: str) -> None:
    """Fetch the model NAME, or its newest release, and print its folder.

    NAME is a pair of languages of Firefox's translators (en-de; en-de@tiny for one of several architectures) or a model
    of the Hugging Face Hub (org/name, org/name@revision). Afterwards NAME is a MODEL of every command, without a
    network.
    """
    from attnkit.hub.resolve import pull

    kept = pull(name, **said_of_names())
    origin, size = kept.origin, f"{kept.bytes / 1e6:,.0f} MB"
    errors.tell(f"{origin.name}: {origin.revision}, {size}, licence {origin.licence or 'not stated'}")
    echo(kept.model)
