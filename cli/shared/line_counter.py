"""A count of lines on the terminal, for commands that work through a file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def line_counter(wanted: bool = True, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Gives a function to call after each line. Nothing is shown unless `wanted` and stderr is a terminal."""
    if not (wanted and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = SpinnerColumn() if total is None else BarColumn()
    count = TextColumn("{task.completed:,} lines" if total is None else "{task.completed:,} of {task.total:,} lines")
    with Progress(bar, count, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
