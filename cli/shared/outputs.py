"""What commands share that read lines and write a result for each: remembering inputs, opening outputs, drawings."""

from __future__ import annotations

import collections
import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from attnkit.printable import printable

from . import errors

if TYPE_CHECKING:
    from attnkit.data.arrivals import Paused

_GZIP_LEVEL = 6  # gzip's own


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


class _Screen(io.RawIOBase):
    """Standard output where it is a terminal: people look at it, and what a label or a token holds must not steer
    it."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        sys.stdout.buffer.write(printable(data.decode("utf-8", "replace"), keep="\t\n").encode())
        return len(data)

    def flush(self) -> None:
        sys.stdout.buffer.flush()


def standard_output() -> BinaryIO:
    """Where results go, as they are: into a file or a pipe to the byte, on a terminal without control characters."""
    return cast(BinaryIO, _Screen()) if sys.stdout.isatty() else sys.stdout.buffer


def echo(text: str | Path) -> None:
    """A line on standard output, to the same rule."""
    click.echo(printable(str(text), keep="\t\n") if sys.stdout.isatty() else text)


@contextlib.contextmanager
def opened(output: str) -> Iterator[Callable[[bytes], object]]:
    """Gives what writes a result: to a file, whole or not at all and packed where its name ends in .gz, or to standard
    output for `-`. In a stream a result is there at once, for whoever waits at the other end."""
    if output == "-":
        yield _at_once(standard_output())
        return
    from attnkit.files import atomic_write, is_stream

    with atomic_write(output) as file:
        if output.endswith(".gz"):
            import gzip

            # No name and no time: the same text is the same bytes.
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as packed:
                yield packed.write
        else:
            yield _at_once(file) if is_stream(output) else file.write


@contextlib.contextmanager
def also_opened(output: str | None) -> Iterator[Callable[[bytes], object]]:
    """`opened` for a file beside the results; what is written to None is gone."""
    if output is None:
        yield lambda result: None
    else:
        with opened(output) as write:
            yield write


def _at_once(file: BinaryIO) -> Callable[[bytes], None]:
    def write(result: bytes) -> None:
        file.write(result)
        file.flush()

    return write


def check_output(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A callback of options that name a file to write: one that cannot be is an error before the work, not after it."""
    from attnkit.files import check_writable

    if value is not None and not context.resilient_parsing:
        check_writable(value)
    return value


def check_beside(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A callback of options for a file beside the results: `check_output`, which refuses the place of the results."""
    if value == "-" and not context.resilient_parsing:
        raise click.BadParameter("expected a file, since results go to standard output")
    return check_output(context, parameter, value)


def check_drawing(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A callback of --attention: `check_output`, which also refuses a kind of file that cannot be drawn."""
    if value is None or context.resilient_parsing:
        return value
    from attnkit.explain.writing import check_suffix

    try:
        check_suffix(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"--{parameter.name}") from None
    return check_output(context, parameter, value)


def report_drawings(written: list[Path], count: int, what: str) -> None:
    """Says where the attention of `count` lines (or texts) went."""
    if not written:
        errors.tell(f"attention of {count} {what}: nothing to draw, no file is written")
        return
    where = f"{written[0]} to {written[-1].name}" if len(written) > 1 else written[0]
    errors.tell(f"attention of {count} {what}: {where}" if count != 1 else f"attention: {where}")
