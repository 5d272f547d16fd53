"""How far a download is: a bar on stderr where that is a terminal, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from attnkit.printable import printable


def note(text: str) -> None:
    """A line on stderr, for those who give no place for it themselves."""
    with suppress(OSError, ValueError):
        if sys.stderr is not None:
            print(printable(" ".join(text.split())), file=sys.stderr, flush=True)


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int | None], object]]:
    """Gives a function to tell the bytes that are here, and how many it will be."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(what), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
