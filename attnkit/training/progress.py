"""What a run says while it runs, on stderr: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from attnkit.printable import printable

Mode = Literal["auto", "rich", "plain", "none"]


@dataclass(frozen=True, slots=True)
class Position:
    """How far a run is. fraction: of the nearest limit, in [0, 1]; remaining: seconds until it. None where there is no
    limit, or no telling yet. unit: what is counted on the way."""

    fraction: float | None
    remaining: float | None
    unit: str = "tokens"


class Reporter(Protocol):
    """Where a trainer reports to; entered for as long as it runs."""

    def __enter__(self) -> Reporter: ...
    def __exit__(self, *error: object) -> None: ...

    def note(self, text: str) -> None:
        """A line worth keeping."""

    def training(self, figures: Mapping[str, Any], position: Position, logged: bool) -> None:
        """After every step: the figures of a training line so far; `logged` when it has gone to metrics.jsonl."""

    def phase(self, name: str) -> None:
        """What goes on now, such as "training" or "validation"."""


def make_reporter(mode: Mode = "auto") -> Reporter:
    """A reporter of that kind; "auto" is "rich" when stderr is a terminal, else "plain". Without stderr all are silent,
    and one that goes away, as a terminal does with SIGHUP, is not missed: a run does not end because nobody listens."""
    if mode == "none" or sys.stderr is None:
        return SilentReporter()
    if mode == "rich" or (mode == "auto" and sys.stderr.isatty()):
        return RichReporter()
    return PlainReporter()


class SilentReporter:
    """Says nothing."""

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def training(self, figures: Mapping[str, Any], position: Position, logged: bool) -> None:
        pass

    def phase(self, name: str) -> None:
        pass


class PlainReporter(SilentReporter):
    """One line for every note and every training line of metrics.jsonl."""

    def note(self, text: str) -> None:
        with suppress(OSError):
            print(printable(text, keep="\n"), file=sys.stderr, flush=True)

    def training(self, figures: Mapping[str, Any], position: Position, logged: bool) -> None:
        if logged:
            self.note(describe(figures, position))


class RichReporter(SilentReporter):
    """A bar with the current figures; notes scroll by above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True, highlight=False)
        columns = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[figures]}")
        # Few refreshes: they take the interpreter's lock from the thread that trains.
        self._progress = Progress(*columns, console=console, transient=True, refresh_per_second=4)
        self._bar = self._progress.add_task("starting", total=None, figures="")

    def __enter__(self) -> Reporter:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):
            self._progress.stop()

    def note(self, text: str) -> None:
        with suppress(OSError):
            self._progress.console.print(printable(text, keep="\n"), markup=False)

    def training(self, figures: Mapping[str, Any], position: Position, logged: bool) -> None:
        total = None if position.fraction is None else 1.0
        self._progress.update(
            self._bar, total=total, completed=position.fraction or 0.0, figures=describe(figures, position)
        )

    def phase(self, name: str) -> None:
        self._progress.update(self._bar, description=name)


def describe(figures: Mapping[str, Any], position: Position) -> str:
    """`step 100  epoch 2  loss 3.210  norm 0.85  lr 0.0005  12,345 tokens/s  ETA 1:23`."""
    parts = [
        f"step {figures['step']:,}",
        f"epoch {figures['epoch']}",
        f"loss {figures['loss']:.3f}",
        f"norm {figures['gradient_norm']:.2f}",
        f"lr {figures['learning_rate']:.3g}",
        f"{figures['tokens_per_second']:,.0f} {position.unit}/s",
    ]
    if position.remaining is not None:
        parts.append(f"ETA {duration(position.remaining)}")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
