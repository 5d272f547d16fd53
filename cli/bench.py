"""`attnkit bench`: measure this machine before choosing."""

from __future__ import annotations

import click

from .bench_caption import caption
from .bench_kernels import kernels
from .bench_train import train
from .bench_translate import translate


@click.group("bench")
def command() -> None:
    """Measure speed on this machine, beside its peers."""


for each in (kernels, train, translate, caption):
    command.add_command(each)
