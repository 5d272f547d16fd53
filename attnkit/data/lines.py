"""Lines and records of files: UTF-8, gzip, standard input, JSON lines; errors that name file and line.

A line has a bound, and so has what a gzip file unpacks to: half a megabyte can hold a line that fills all memory.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, cast

from attnkit.data.arrivals import PAUSE, Paused, arriving

Path = str | os.PathLike[str]
STDIN = "-"


MAX_LINE = 1 << 23
"""Bytes of a line: 8 MiB, more than the longest novels have."""

MAX_UNPACKED, MAX_RATIO = 1 << 30, 100
"""Bytes that a gzip file may unpack to: 1 GiB, or 100 times its own size where that is more. Text is packed to a third
or a tenth; what is beyond a hundredth repeats itself, and was made to fill memory or can be unpacked by its owner."""


class _BrokenGzip(Exception):
    """What is no gzip file, or not a whole one."""


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file, and how many bytes it may have; None for no limit."""
    if os.fspath(path) == STDIN:
        yield sys.stdin.buffer, None
        return
    with open(path, "rb") as raw:
        if not os.fspath(path).endswith(".gz"):
            yield raw, None
            return
        import gzip  # few files are
        import zlib

        try:
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield cast(BinaryIO, unpacked), max(MAX_UNPACKED, MAX_RATIO * os.fstat(raw.fileno()).st_size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise _BrokenGzip(str(error)) from None


def read_lines(path: Path) -> Iterator[str]:
    """`arriving_lines` without its pauses."""
    return (line for line in arriving_lines(path) if line is not PAUSE)


def arriving_lines(path: Path) -> Iterator[str | Paused]:
    """The lines of a UTF-8 file without their ends; `-` is standard input, and a name in .gz is unpacked.

    Only LF and CR LF end a line, so that the count agrees with other tools. A byte order mark at the start is dropped.
    PAUSE comes before a line that is not there yet, of a pipe or a terminal.

    Raises OSError when the file cannot be read, ValueError naming file and line when it is not UTF-8 or not gzip, for a
    line of more than `MAX_LINE` bytes, and for a gzip file of more than `MAX_UNPACKED`.
    """
    name = "standard input" if os.fspath(path) == STDIN else os.fspath(path)
    number = 0
    try:
        with _opened(path) as (stream, limit):
            for line in arriving_from(stream, name, limit=limit):
                number += line is not PAUSE
                yield line
    except _BrokenGzip as error:
        raise ValueError(f"[corpus] {name}, after line {number}: expected a whole gzip file: {error}") from None


def arriving_from(stream: BinaryIO, name: str, first: int = 1, limit: int | None = None) -> Iterator[str | Paused]:
    """`arriving_lines` of what is open already, and stands before the line with the number `first`. name: of the file,
    for messages. limit: the bytes that it may have."""
    number, size = first - 1, 0
    try:
        for line in arriving(stream, MAX_LINE):
            if line is PAUSE:
                yield PAUSE
                continue
            number += 1
            size += len(line)
            data = line.removesuffix(b"\n").removesuffix(b"\r")
            _check_sizes(len(data), size, limit, f"[corpus] {name}, line {number}")
            text = data.decode("utf-8")
            yield text.removeprefix("\ufeff") if number == 1 else text
    except UnicodeDecodeError as error:
        raise ValueError(f"[corpus] {name}, line {number}: expected UTF-8, got {_bad_byte(error)}") from None


def read_document(path: Path) -> str:
    """A file as one text, its lines joined by LF and without the end of the last. Raises what `arriving_lines` raises,
    and ValueError for more than `MAX_LINE` bytes in all."""
    lines, size = list[str](), 0
    for line in read_lines(path):
        lines.append(line)
        size += len(line.encode()) + 1
        if size > MAX_LINE + 1:
            raise ValueError(f"[corpus] {os.fspath(path)}: expected at most {MAX_LINE:,} bytes a document, got more")
    return "\n".join(lines)


def _check_sizes(line: int, file: int, limit: int | None, where: str) -> None:
    if line > MAX_LINE:
        raise ValueError(f"{where}: expected at most {MAX_LINE:,} bytes a line, got more")
    if limit is not None and file > limit:
        raise ValueError(f"{where}: expected at most {limit:,} bytes in this packed file, got more; unpack it first")


def _bad_byte(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x} at column {error.start + 1}"


def one_line(text: str) -> str:
    """The text with a space for each line end in it, as JSON and Python strings can have them."""
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ")


def line_of(*fields: str) -> bytes:
    """Fields by tabs. A line end inside one, which a file's name, a label or a text may have, becomes a space: what is
    written for an input stays one line. A name that is no text keeps its bytes."""
    return ("\t".join(map(one_line, fields)) + "\n").encode("utf-8", "surrogateescape")


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """`arriving_records` without its pauses."""
    return (record for record in arriving_records(path) if record is not PAUSE)


def arriving_records(path: Path) -> Iterator[tuple[str, dict[str, Any]] | Paused]:
    """(where, record) for the JSON object of each line; blank lines are ignored. `where` names file and line, to begin
    a message with. Raises ValueError for a line that is no JSON object."""
    return records_of(arriving_lines(path), os.fspath(path))


def records_of(
    lines: Iterable[str | Paused], name: str, first: int = 1
) -> Iterator[tuple[str, dict[str, Any]] | Paused]:
    """`arriving_records` of lines, the first of which has the number `first` in the file of that name."""
    import msgspec

    decode = msgspec.json.Decoder().decode
    number = first - 1
    for line in lines:
        if line is PAUSE:
            yield PAUSE
            continue
        number += 1
        if not line.strip():
            continue
        where = f"[corpus] {name}, line {number}"
        try:
            record = decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError(f"{where}: expected a JSON object: {_json_fault(line, error)}") from None
        if not isinstance(record, dict):
            raise ValueError(f"{where}: expected a JSON object, got {type(record).__name__}")
        yield where, record


def arriving_texts(path: Path, key: str | None = None) -> Iterator[str | Paused]:
    """The texts of a file as they arrive: its lines, or the strings under a key of JSON lines. Raises as those do."""
    if key is None:
        yield from arriving_lines(path)
        return
    for each in arriving_records(path):
        yield each if each is PAUSE else string_field(each[1], key, each[0])


def _json_fault(line: str, error: Exception) -> str:
    """What is wrong with a line that msgspec refused: of half a surrogate pair it says that data was truncated."""
    import json

    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError as lone:
        return f"got the lone surrogate U+{ord(lone.object[lone.start]):04X}, which is no text"
    except (ValueError, RecursionError):
        pass
    return str(error)


def string_field(record: Mapping[str, Any], key: str, where: str) -> str:
    """The string under a key. Raises ValueError, which begins with `where`, for anything else."""
    value = record.get(key)
    if not isinstance(value, str):
        got = "nothing" if value is None else type(value).__name__
        raise ValueError(f"{where}: expected a string under {key!r}, got {got}")
    return value
