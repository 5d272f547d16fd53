"""`attnkit bench allreduce`: whether a network is fast enough to train over."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click
from rich.table import Table

from .output import json_option, print_table, say, write_json

if TYPE_CHECKING:
    from attnkit.benchmark.all_reduce import Sum
    from attnkit.benchmark.step_time import Link

PROCESSES = (2, 4, 8, 16, 64, 256, 1024)  # that the time of a step is estimated for


@click.command("allreduce")
@click.option("--parameters", type=click.FloatRange(1), help="Of a model: what a step of it would take.")
@click.option("--tail", type=click.FloatRange(0), default=0, help="Of these, in embeddings: their gradients come last.")
@click.option("--step", type=click.FloatRange(0, min_open=True), help="Seconds of its step in one process alone.")
@click.option("--runs", type=click.IntRange(1), default=7, show_default=True, help="Times that each is timed.")
@click.option("--largest", type=click.IntRange(1), help="Only arrays of at most this many numbers.")
@json_option
def allreduce(
    parameters: float | None, tail: float, step: float | None, runs: int, largest: int | None, json_file: str | None
) -> None:
    """The sum of gradients over processes that MPI has started, as training does it.

    \b
    mpirun -n 4 attnkit bench allreduce
    mpirun -n 4 attnkit bench allreduce --parameters 49e6 --step 1.2

    For each size of an array: the time of a sum, in float32 and with half the bytes; the rate at which each process
    sends; and the time of its processor, which is taken from the arithmetic. With --parameters and --step, on paper: a
    step of more processes than there are here, how long its gradients travel, how long it waits for them, and its share
    of the speed that a network without any delay would give.
    """
    if (parameters is None) != (step is None):
        raise click.UsageError("--parameters and --step: expected both or none")
    if parameters is not None and tail >= parameters:
        raise click.UsageError(f"--tail: expected less than --parameters, got {tail:g}")
    from attnkit.benchmark.all_reduce import SIZES, link_of, measure_sums
    from attnkit.distributed import group

    members = group()
    if members.size == 1:
        raise click.UsageError(
            "expected two processes or more, got one; start it by mpirun -n 2 attnkit bench allreduce"
        )
    sizes = [size for size in SIZES if largest is None or size <= largest] or [SIZES[0]]
    found = measure_sums(members, sizes, runs, say if members.rank == 0 else lambda message: None)
    if members.rank:
        return
    links = [link_of(found, half) for half in (False, True)]
    print_table(_measured(found, links[0], members.description))
    if parameters is not None and step is not None:
        print_table(_estimated(links, parameters, tail, step))
    if json_file:
        keys = ("numbers", "half", "seconds", "processor")
        what = {"processes": members.size, "links": [dataclasses.asdict(link) for link in links]}
        write_json(json_file, "allreduce", what, [{key: getattr(each, key) for key in keys} for each in found])


def _measured(found: list[Sum], link: Link, description: str) -> Table:
    table = Table(title=f"{description}\n{link.message * 1e3:.3f} ms a message, {8e-9 * link.rate:.2f} Gbit/s")
    for heading in ("numbers", "type", "ms", "Gbit/s", "processor ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        table.add_row(
            f"{each.numbers:,}",
            "bf16" if each.half else "fp32",
            f"{each.median * 1e3:,.3f}",
            f"{8e-9 * each.rate:.3f}",
            f"{each.processor * 1e3:,.3f}",
        )
    return table


def _estimated(links: list[Link], parameters: float, tail: float, step: float) -> Table:
    import attnkit
    from attnkit.benchmark.step_time import step_time

    threads = attnkit.get_num_threads()
    table = Table(title=f"{parameters:,.0f} parameters, {step:g} s of work in each process, on paper")
    for heading in ("processes", "type", "travel s", "wait s", "processor s", "step s", "of ideal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for processes in PROCESSES:
        for half in (False, True):
            times = step_time(links[half], processes, parameters, step, half=half, tail=tail, threads=threads)
            figures = (times.communication, times.exposed, times.work, times.step)
            name = "bf16" if half else "fp32"
            table.add_row(f"{processes:,}", name, *(f"{seconds:.3g}" for seconds in figures), f"{times.efficiency:.0%}")
    return table
