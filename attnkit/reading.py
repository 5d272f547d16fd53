"""Files that are read whole: regular ones, within a bound.

A model may come from anybody, and its folder may hold a pipe that never gives a byte, or a link to a device that gives
them without end. Whatever reads a file whole reads it by this.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

MAX_FILE = 1 << 25
"""Bytes of a file that is read whole, such as a tokenizer's: 32 MiB, many times what any has."""

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def open_regular(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a file to read its bytes. Raises OSError, and ValueError, naming it, for what is no regular file."""
    _check_regular(os.stat(path).st_mode, path)  # before it is opened: to open some devices does something
    with open(path, "rb", opener=_without_waiting) as file:
        _check_regular(os.fstat(file.fileno()).st_mode, path)
        yield file


def read_file(path: str | os.PathLike[str], limit: int = MAX_FILE) -> bytes:
    """The content of a regular file. Raises OSError, and ValueError, naming it, for another or one of more bytes than
    `limit`."""
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise ValueError(f"{os.fspath(path)}: expected a file of at most {limit:,} bytes, got a larger one")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """Should the file have become a pipe meanwhile, a plain open would wait for somebody to write into it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(mode: int, path: str | os.PathLike[str]) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    got = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
    raise ValueError(f"{os.fspath(path)}: expected a regular file, got {got}")
