"""`attnkit bench`: measure this machine before choosing."""

from __future__ import annotations

import json
import platform
import sys
from datetime import date

import click
from rich.console import Console
from rich.table import Table

from attnkit.benchmark.runner import Measurement
from attnkit.benchmark.train import MODELS


@click.group("bench")
def command() -> None:
    """Measure speed on this machine, beside its peers."""


def _peers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    peers = tuple(peer.strip() for peer in value.split(",")) if value else ()
    unknown = [peer for peer in peers if peer != "torch"]
    if unknown:
        raise click.BadParameter(f"expected torch, got {', '.join(unknown)}")
    return peers


@command.command("train")
@click.argument("model", type=click.Choice(list(MODELS)), default="transformer-tiny")
@click.option("--against", metavar="PEERS", callback=_peers, help="torch: also run PyTorch's step, in turn with ours.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), multiple=True, help="Only this one.  [default: both]")
@click.option(
    "--data",
    nargs=2,
    type=click.Path(exists=True, dir_okay=False),
    metavar="SOURCE TARGET",
    help="Parallel text to take sentences from.",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(1),
    default=4096,
    show_default=True,
    help="Tokens of a batch, padding counted.",
)
@click.option("--runs", type=click.IntRange(1), default=7, show_default=True, help="Steps that are timed.")
@click.option("--threads", type=click.IntRange(1), help="Threads of every contestant.  [default: all]")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Also write every run here.")
def train(
    model: str,
    against: tuple[str, ...],
    precision: tuple[str, ...],
    data: tuple[str, str] | None,
    batch_tokens: int,
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Target tokens per second of a training step: forward, backward, clipping and Adam.

    Each contestant is a process of its own; steps go in turn, so that all see the same machine. Without --data the
    sentences are random, with the lengths of image captions.
    """
    from attnkit.benchmark.train import bench_train, peer_problems

    for problem in peer_problems(against):
        click.echo(problem, err=True)
    measurements = bench_train(
        model,
        precision or ("fp32", "bf16"),
        against,
        data,
        batch_tokens,
        runs,
        threads,
        lambda message: click.echo(message, err=True),
    )
    _print(f"{model}, one training step", measurements)
    if json_file:
        _write_json(json_file, model, measurements)


def _print(title: str, measurements: list[Measurement]) -> None:
    peers = [m for m in measurements if not m.name.startswith("attnkit")]
    best = max((m.units_per_second for m in peers), default=None)
    table = Table(title=title)
    for heading in ("", "ms", "tokens/s", "peak MB", *(["times the best peer"] if best else [])):
        table.add_column(heading, justify="left" if not heading else "right")
    for m in measurements:
        ratio = [f"{m.units_per_second / best:.2f}"] if best else []
        table.add_row(
            m.name, f"{m.median * 1e3:.1f}", f"{m.units_per_second:,.0f}", f"{m.peak_bytes / 1e6:,.0f}", *ratio
        )
    Console(file=sys.stdout).print(table)


def _write_json(path: str, model: str, measurements: list[Measurement]) -> None:
    from attnkit import __version__, _core
    from attnkit.files import atomic_write

    runs = [{"name": m.name, "seconds": m.seconds, "units": m.units, "peak_bytes": m.peak_bytes} for m in measurements]
    record = {
        "bench": "train",
        "model": model,
        "date": date.today().isoformat(),
        "attnkit": __version__,
        "python": platform.python_version(),
        "cpu": _core.cpu_info(),
        "runs": runs,
    }
    with atomic_write(path, "w") as file:
        file.write(json.dumps(record, indent=2) + "\n")
