"""`attnkit bench`: measure this machine before choosing."""

from __future__ import annotations

import click

from .allreduce import allreduce
from .caption import caption
from .classify import classify
from .embed import embed
from .kernels import kernels
from .train import train
from .translate import translate


@click.group("bench")
def command() -> None:
    """Measure speed on this machine, beside its peers."""


for each in (kernels, train, translate, classify, caption, embed, allreduce):
    command.add_command(each)
