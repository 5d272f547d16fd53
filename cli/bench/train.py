"""`attnkit bench train`: a training step of any model, beside PyTorch's."""

from __future__ import annotations

import dataclasses

import click
from rich.table import Table

from attnkit.benchmark.runner import Measurement
from attnkit.benchmark.train_models import MODELS

from ..shared.device_option import device_option
from ..shared.run_options import THREADS
from .output import against_option, bench_device, json_option, print_table, share, titled, write_json


@click.command("train")
@click.argument("model", type=click.Choice(list(MODELS)), default="transformer-tiny")
@against_option("torch", help="torch: also run PyTorch's step, in turn with ours.")
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
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Images of a batch.")
@click.option("--runs", type=click.IntRange(1), default=7, show_default=True, help="Steps that are timed.")
@click.option("--threads", type=THREADS, help="Threads of every contestant.  [default: all]")
@device_option
@json_option
def train(
    model: str,
    against: tuple[str, ...],
    precision: tuple[str, ...],
    data: tuple[str, str] | None,
    batch_tokens: int,
    batch: int,
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """A training step: forward, backward, clipping and Adam, in target tokens, images or documents per second.

    MODEL is transformer-tiny, transformer-base or bahdanau-gru, which translate; vit-tiny; show-attend-tell, which
    captions; or han, which reads documents. Each contestant is a process of its own; steps go in turn, so that all see
    the same machine. Without --data sentences are random, with the lengths of image captions, as all other inputs are.
    """
    if data and MODELS[model].inputs != "sentences":
        raise click.UsageError(f"--data: expected a model that translates, got {model}")
    from attnkit.benchmark.train import bench_train, peer_problems

    for problem in peer_problems(against):
        click.echo(problem, err=True)
    measurements = bench_train(
        model,
        precision or ("fp32", "bf16"),
        against,
        data,
        batch_tokens,
        batch,
        runs,
        threads,
        lambda message: click.echo(message, err=True),
        bench_device(),
    )
    _print(titled(f"{model}, one training step"), MODELS[model].unit, measurements)
    if json_file:
        runs_of = [dataclasses.asdict(each) for each in measurements]
        write_json(json_file, "train", {"model": model}, runs_of)


def _print(title: str, unit: str, measurements: list[Measurement]) -> None:
    peers = [m for m in measurements if not m.name.startswith("attnkit")]
    best = max((m.units_per_second for m in peers), default=None)
    table = Table(title=title)
    for heading in ("", "ms", f"{unit}/s", "of roof", "peak MB", *(["times the best peer"] if best else [])):
        table.add_column(heading, justify="left" if not heading else "right")
    for m in measurements:
        ratio = [f"{m.units_per_second / best:.2f}"] if best else []
        table.add_row(
            m.name,
            f"{m.median * 1e3:.1f}",
            f"{m.units_per_second:,.0f}",
            share(m.of_roof),
            f"{m.peak_bytes / 1e6:,.0f}",
            *ratio,
        )
    print_table(table)
