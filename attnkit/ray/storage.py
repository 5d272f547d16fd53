"""Files where all nodes see them: of a shared file system, or behind an address such as s3://bucket/folder."""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import gzip
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from attnkit.files import atomic_write

_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


class Found(NamedTuple):
    """A file, and its name below the part of a pattern that has no wildcard."""

    path: str
    name: str


def is_remote(path: str) -> bool:
    return bool(_ADDRESS.match(path))


def found(pattern: str) -> list[Found]:
    """The files that a name, a pattern or a folder stands for, sorted; hidden ones only by their names. Raises
    ValueError where there are none."""
    files = _remote_files(pattern) if is_remote(pattern) else _local_files(pattern)
    if not files:
        raise ValueError(f"[ray] expected files that match {pattern}, got none")
    return sorted(files)


def joined(folder: str, *names: str) -> str:
    return posixpath.join(folder, *names) if is_remote(folder) else os.path.join(folder, *names)


@contextlib.contextmanager
def opened(path: str, offset: int = 0) -> Iterator[BinaryIO]:
    """A file from a place on. One that ends in .gz is unpacked, from its beginning. Raises OSError."""
    if is_remote(path):
        filesystem, inner = _filesystem(path)
        file = filesystem.open_input_file(inner)
    else:
        file = open(path, "rb")  # noqa: SIM115  # closed below
    with file as raw:
        if path.endswith(".gz"):
            yield cast(BinaryIO, gzip.GzipFile(fileobj=raw))
        else:
            raw.seek(offset)
            yield raw


def write_whole(path: str, data: bytes) -> None:
    """A file that is there whole or not at all. Raises OSError."""
    if is_remote(path):
        filesystem, inner = _filesystem(path)
        try:
            stream = filesystem.open_output_stream(inner)
        except FileNotFoundError:  # not an object store, which has no folders
            filesystem.create_dir(posixpath.dirname(inner), recursive=True)
            stream = filesystem.open_output_stream(inner)
        with stream:  # what is put into an object store appears at its end
            stream.write(data)
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic_write(path) as file:
        file.write(data)


def read_whole(path: str) -> bytes | None:
    """What a file holds; None where there is none. Raises OSError."""
    try:
        with opened(path) as file:
            return file.read()
    except FileNotFoundError:
        return None


def present(folder: str) -> set[str]:
    """The names of the files in a folder; none where there is no such folder. Raises OSError."""
    if is_remote(folder):
        from pyarrow import fs

        filesystem, inner = _filesystem(folder)
        files = filesystem.get_file_info(fs.FileSelector(inner, allow_not_found=True))
        return {file.base_name for file in files if file.type == fs.FileType.File}
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def _local_files(pattern: str) -> list[Found]:
    if os.path.isfile(pattern):
        return [Found(pattern, os.path.basename(pattern))]
    if os.path.isdir(pattern):
        pattern = os.path.join(pattern, "**")
    base = _fixed_part(pattern, os.sep)
    files = (path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    return [Found(path, Path(os.path.relpath(path, base or os.curdir)).as_posix()) for path in files]


def _remote_files(pattern: str) -> list[Found]:
    from pyarrow import fs

    base = _fixed_part(pattern, "/")
    filesystem, inner = _filesystem(pattern)
    if filesystem.get_file_info(inner).type == fs.FileType.File:
        return [Found(pattern, posixpath.basename(pattern))]
    start = _filesystem(base)[1]
    wanted = inner if glob.has_magic(pattern) else posixpath.join(inner, "*")
    listed = filesystem.get_file_info(fs.FileSelector(start, allow_not_found=True, recursive=True))
    names = (file.path.removeprefix(start).lstrip("/") for file in listed if file.type == fs.FileType.File)
    # Here a star goes over slashes too: an object store knows no folders.
    return [
        Found(posixpath.join(base, name), name)
        for name in names
        if fnmatch.fnmatch(posixpath.join(start, name), wanted)
    ]


def _fixed_part(pattern: str, separator: str) -> str:
    """The folder before the first wildcard."""
    parts = pattern.split(separator)
    magic = next((number for number, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return separator.join(parts[:magic]) or (separator if pattern.startswith(separator) else "")


def _filesystem(path: str) -> tuple[Any, str]:
    """What pyarrow, or else fsspec, has for an address, and the path in it."""
    from pyarrow import fs

    try:
        return fs.FileSystem.from_uri(path)  # type: ignore[no-any-return]
    except ValueError as unknown:
        import fsspec

        try:
            inner, rest = fsspec.core.url_to_fs(path)
        except (ValueError, ImportError):
            raise ValueError(f"[ray] {path}: {unknown}") from None
        return fs.PyFileSystem(fs.FSSpecHandler(inner)), rest
