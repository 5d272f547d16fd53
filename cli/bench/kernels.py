"""`attnkit bench kernels`: milliseconds, rates, and the share of what this machine can do."""

from __future__ import annotations

import dataclasses

import click
from rich.table import Table

from attnkit.benchmark.kernels import CASES, KERNELS, KernelMeasurement, bench_kernels, peer_problems

from ..shared.device_option import device_option
from ..shared.run_options import THREADS
from .output import against_option, bench_device, json_option, print_table, titled, write_json


@click.command("kernels")
@click.argument("names", metavar="[KERNEL]...", nargs=-1, type=click.Choice(KERNELS))
@against_option("torch", help="torch: also run PyTorch's kernel, in turn with ours.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), multiple=True, help="Only this one.  [default: both]")
@click.option("--largest", type=click.IntRange(1), help="Only shapes of at most this many numbers.")
@click.option("--runs", type=click.IntRange(1), default=7, show_default=True, help="Times that each is timed.")
@click.option("--threads", type=THREADS, help="Threads of every contestant.  [default: all]")
@device_option
@json_option
def kernels(
    names: tuple[str, ...],
    against: tuple[str, ...],
    precision: tuple[str, ...],
    largest: int | None,
    runs: int,
    threads: int | None,
    json_file: str | None,
) -> None:
    """Matrix products, attention, softmax, layer norm, the output layer, recurrent and convolutional layers.

    Rates are of the arithmetic that the formula asks for, or of the bytes that it must move; beside them stands their
    share of the best that this machine gave in the same run: a large matrix product, and a copy of memory. KERNEL: only
    these, of matmul, attention, softmax, layer_norm, linear_cross_entropy, gru, lstm, conv2d.
    """
    for problem in peer_problems(against):
        click.echo(problem, err=True)
    cases = tuple(
        case
        for case in CASES
        if (not names or case.kernel in names)
        and (not precision or case.precision in precision)
        and (largest is None or case.size <= largest)
    )
    if not cases:
        raise click.UsageError("expected at least one kernel, got a choice that leaves none")
    found, roofs = bench_kernels(
        cases, against, runs, threads, progress=lambda message: click.echo(message, err=True), device=bench_device()
    )
    _print(found, roofs)
    if json_file:
        runs_of = [{**dataclasses.asdict(each.case), "seconds": each.seconds} for each in found]
        write_json(json_file, "kernels", {"roofs": roofs}, runs_of)


def _print(measurements: list[KernelMeasurement], roofs: dict[str, float]) -> None:
    limits = f"roof: fp32 {roofs['fp32'] / 1e9:,.0f} GFLOP/s, bf16 {roofs['bf16'] / 1e9:,.0f} GFLOP/s, "
    table = Table(title=titled(f"{limits}copy {roofs['copy'] / 1e9:.1f} GB/s"))
    peers = sorted({name for each in measurements for name in each.seconds} - {"attnkit"})
    for heading in ("kernel", "shape", "type", "pass"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ms", "GFLOP/s", "GB/s", "of roof", *(f"{peer} ms" for peer in peers), *("times" for _ in peers)):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in measurements:
        table.add_row(*_row(each, peers))
    print_table(table)


def _row(each: KernelMeasurement, peers: list[str]) -> list[str]:
    case, own = each.case, each.median("attnkit")
    rate = f"{each.rate('attnkit') / 1e9:,.1f}"
    theirs = [each.median(peer) if peer in each.seconds else None for peer in peers]
    return [
        f"{case.kernel} {case.variant}".strip(),
        "x".join(map(str, case.shape)),
        case.precision,
        "forward" if case.direction == "forward" else "forward+backward",
        f"{own * 1e3:,.3f}",
        *((rate, "") if each.amount().unit == "flop" else ("", rate)),
        f"{each.share_of_roof('attnkit'):.0%}",
        *("" if seconds is None else f"{seconds * 1e3:,.3f}" for seconds in theirs),
        *("" if seconds is None else f"{seconds / own:.2f}" for seconds in theirs),
    ]
