"""What the benches share: the option for peers, tables on stdout, and runs as JSON."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from attnkit._tensor import PRECISIONS
from attnkit.benchmark.decoding import DecodingMeasurement

from ..shared.device_option import chosen_device, device_option
from ..shared.outputs import check_output
from ..shared.run_options import THREADS

F = TypeVar("F", bound=Callable[..., Any])
WIDTH = 120  # of a table where stdout is no terminal
BEAMS = (1, 4)  # where none is asked for

# Of these the versions are kept with the runs.
_PACKAGES = ("numpy", "torch", "transformers", "ctranslate2", "onnxruntime")


def against_option(*peers: str, help: str) -> Callable[[F], F]:
    """--against, a list of peers by commas."""

    def check(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
        given = tuple(peer.strip() for peer in value.split(",")) if value else ()
        unknown = [peer for peer in given if peer not in peers]
        if unknown:
            raise click.BadParameter(f"expected {' or '.join(peers)}, got {', '.join(unknown)}")
        return given

    return click.option("--against", metavar="PEERS", callback=check, help=help)


json_option: Callable[[Any], Any] = click.option(
    "--json", "json_file", type=click.Path(dir_okay=False), callback=check_output, help="Also write every run here."
)


def model_options(precisions: str = "int8 and fp32") -> Callable[[F], F]:
    """What the benches of whole models are asked alike; `precisions` is the default, in words."""
    return _together(
        json_option,
        device_option,
        click.option("--threads", type=THREADS, help="Threads of every contestant.  [default: all]"),
        click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Times that each is timed."),
        click.option(
            "--precision", type=click.Choice(PRECISIONS), multiple=True, help=f"Repeatable.  [default: {precisions}]"
        ),
    )


def decoding_options(beams: str = "1 and 4", precisions: str = "all") -> Callable[[F], F]:
    """The same, and what is asked of models that write. `beams` is the default, in words."""
    beam = click.option("--beam", type=click.IntRange(1), multiple=True, help=f"Repeatable.  [default: {beams}]")
    return _together(model_options(precisions), beam)


def _together(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    def add(command: F) -> F:
        for option in options:
            command = option(command)
        return command

    return add


def bench_device() -> str:
    """What --device says, by its full name."""
    from attnkit.devices import CPU

    return chosen_device() or CPU


def only_on_cpu(against: tuple[str, ...], peer: str) -> None:
    """Raises click.UsageError where `peer`, which computes on CPUs alone, is asked for beside another device."""
    from attnkit.devices import CPU

    if peer in against and bench_device() != CPU:
        raise click.UsageError(f"--against {peer}: expected --device cpu, got {bench_device()}")


def titled(title: str) -> str:
    """With the device where it is not the CPU, and what its maker calls it."""
    from attnkit.devices import CPU, gpu_name

    device = bench_device()
    return title if device == CPU else f"{title}, {device} ({gpu_name(device) or 'no GPU'})"


def print_table(table: Table) -> None:
    console = Console(file=sys.stdout)
    if not sys.stdout.isatty():
        console = Console(file=sys.stdout, width=WIDTH)
    console.print(table)


def print_decoding(title: str, unit: str, measurements: list[DecodingMeasurement]) -> None:
    """A row each, and beside it how many times as good as the best peer it is. `unit`: what is counted a second."""
    peers = [m for m in measurements if not m.name.startswith("attnkit")]
    table = Table(title=titled(title))
    headings = ["", f"{unit}/s", "of roof", "p50 ms", "p99 ms", "load ms", "cold ms", "peak MB"]
    ratios = [f"× {unit}/s", "× p50"] if peers else []
    for heading in headings + ratios:
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for m in measurements:
        row = [
            m.name,
            _rate(m.units_per_second),
            share(m.of_roof),
            f"{m.latency(50) * 1e3:.2f}",
            f"{m.latency(99) * 1e3:.2f}",
            f"{statistics.median(m.load_seconds) * 1e3:.0f}",
            f"{statistics.median(m.cold_seconds) * 1e3:.0f}",
            f"{m.peak_bytes / 1e6:,.0f}",
        ]
        if peers:
            row.append(f"{m.units_per_second / max(peer.units_per_second for peer in peers):.2f}")
            row.append(f"{min(peer.latency(50) for peer in peers) / m.latency(50):.2f}")
        table.add_row(*row)
    print_table(table)


def share(of_roof: float | None) -> str:
    """Nothing where it is not known."""
    return "" if of_roof is None else f"{of_roof:.0%}"


def _rate(per_second: float) -> str:
    """At least three digits."""
    return f"{per_second:,.0f}" if per_second >= 100 else f"{per_second:.3g}"


def say(message: str) -> None:
    """What a bench is at, on stderr."""
    click.echo(message, err=True)


def write_json(path: str, bench: str, what: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Every run, with the machine and the versions that it was made by."""
    from attnkit import __version__, _core
    from attnkit.files import atomic_write

    record = {
        "bench": bench,
        **what,
        "date": date.today().isoformat(),
        "attnkit": __version__,
        "python": platform.python_version(),
        "versions": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "isa": _core.active_isa(),
        "cpu": _core.cpu_info(),
        "device": bench_device(),
        "gpus": _core.cuda_devices(),
        "runs": runs,
    }
    with atomic_write(path, "w") as file:
        file.write(json.dumps(record, indent=2) + "\n")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
