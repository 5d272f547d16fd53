"""A count of lines on the terminal, for commands that work through a file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol


class Advance(Protocol):
    """Called when more lines are done."""

    def __call__(self, count: int = 1, /) -> object: ...


@contextlib.contextmanager
def line_counter(wanted: bool = True, total: int | None = None, what: str = "lines") -> Iterator[Advance]:
    """Gives a function to call after each line, or after several. Nothing is shown unless `wanted` and stderr is a
    terminal. what: what is counted."""
    if not (wanted and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda count=1: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = SpinnerColumn() if total is None else BarColumn()
    shown = "{task.completed:,}" if total is None else "{task.completed:,} of {task.total:,}"
    count = TextColumn(f"{shown} {what}")
    with Progress(bar, count, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda count=1: progress.advance(task, count)
