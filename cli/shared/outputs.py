"""What commands share that read lines and write a result for each: remembering inputs, opening outputs, drawings."""

from __future__ import annotations

import collections
import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

if TYPE_CHECKING:
    from attnkit.data.arrivals import Paused


class Remembered:
    """Passes lines on, and keeps each until its result arrives."""

    def __init__(self, lines: Iterable[str | Paused]) -> None:
        self._lines = lines
        self._waiting: collections.deque[str] = collections.deque()

    def __iter__(self) -> Iterator[str | Paused]:
        from attnkit.data.arrivals import PAUSE

        for line in self._lines:
            if line is not PAUSE:
                self._waiting.append(line)
            yield line

    def take(self) -> str:
        return self._waiting.popleft()


def line_of(*fields: str) -> bytes:
    """Fields by tabs. A line end inside one, which a file's name, a label or a text may have, becomes a space: what is
    written for an input stays one line. A name that is no text keeps its bytes."""
    from attnkit.data.lines import one_line

    return ("\t".join(map(one_line, fields)) + "\n").encode("utf-8", "surrogateescape")


@contextlib.contextmanager
def opened(output: str) -> Iterator[BinaryIO]:
    """A file that is written whole or not at all, or standard output for `-`."""
    if output == "-":
        yield sys.stdout.buffer
        return
    from attnkit.files import atomic_write

    with atomic_write(output) as file:
        yield file


def check_output(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A callback of options that name a file to write: one that cannot be is an error before the work, not after it."""
    from attnkit.files import check_writable

    if value is not None and not context.resilient_parsing:
        check_writable(value)
    return value


def check_drawing(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A callback of --attention: `check_output`, which also refuses a kind of file that cannot be drawn."""
    from attnkit.explain.write import check_suffix

    if value is None or context.resilient_parsing:
        return value
    try:
        check_suffix(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--attention") from None
    return check_output(context, parameter, value)


def report_drawings(written: list[Path], count: int, what: str) -> None:
    """Says where the attention of `count` lines (or texts) went."""
    if not written:
        click.echo(f"attention of {count} {what}: nothing to draw, no file is written", err=True)
    for path in written:
        click.echo(f"attention of {count} {what}: {path}" if count != 1 else f"attention: {path}", err=True)
