"""Files that are either the old one or the new one, whole: what a killed run leaves behind can always be read."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

from attnkit.files import descriptors, temporary


@overload
def atomic_write(path: str | os.PathLike[str], mode: Literal["wb"] = "wb") -> AbstractContextManager[BinaryIO]: ...
@overload
def atomic_write(path: str | os.PathLike[str], mode: Literal["w"]) -> AbstractContextManager[TextIO]: ...
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Any:
    """Opens a new file that takes the name `path` only once it is complete and on the disk.

    `with atomic_write(path) as file: file.write(data)`. Mode "wb" takes bytes, "w" takes UTF-8 text with "\\n" line
    ends. The data goes to a temporary name in the same folder, is synced, and is renamed over `path`; after any
    exception the temporary file is gone and `path` is as it was. What a killed process left of an earlier attempt is
    removed first. A link is followed, and an existing file's permissions are kept.

    What is no file is written directly, since a rename would replace it: a device, a pipe, and a descriptor of this
    process (/dev/stdout, /dev/fd/N), whatever that is open on.

    Raises OSError when the folder cannot be written or the disk is full, ValueError for another mode.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f'[atomic_write] expected mode "w" or "wb", got {mode!r}')
    return _writing(os.fspath(path), mode)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a new folder to fill, which then takes the name `path`: of nothing, or of an empty folder.

    After any exception it is gone. What a killed process left of an earlier attempt is removed first. Raises OSError.
    """
    target = os.path.abspath(os.fspath(path))
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with temporary.new(target, temporary.make_folder) as (name, _):
        yield Path(name)
        os.replace(name, target)
    _sync_folder(os.path.dirname(target))


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises the OSError that `atomic_write` would, for callers who want to know before the work starts: the folder is
    there and takes files, and `path` is no folder itself."""
    if reason := _obstacle(os.fspath(path)):
        raise OSError(reason, os.strerror(reason), os.fspath(path))


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether `atomic_write` writes there directly, so that somebody may read along."""
    existing = _mode_of(os.path.realpath(os.fspath(path)))
    return descriptors.number_of(os.fspath(path)) is not None or (existing is not None and not stat.S_ISREG(existing))


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Removes what killed processes were writing into a folder; what a living one is writing stays."""
    for path in Path(folder).glob(temporary.PATTERN):
        temporary.remove_leftover(os.fspath(path))


def _obstacle(path: str) -> int:
    """Why nothing can be written there, as an error number; 0 where nothing is known against it."""
    if (descriptor := descriptors.number_of(path)) is not None:
        return descriptors.obstacle(descriptor)
    target = os.path.realpath(path)
    existing = _mode_of(target)
    if existing is not None and not stat.S_ISREG(existing):
        return errno.EISDIR if stat.S_ISDIR(existing) else 0
    if not os.path.isdir(folder := os.path.dirname(target)):
        return errno.ENOENT
    return 0 if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES


@contextmanager
def _writing(path: str, mode: str) -> Iterator[IO[Any]]:
    try:
        if (descriptor := descriptors.number_of(path)) is not None:
            with _open(descriptors.duplicate(descriptor), mode) as file:
                yield file
        elif is_stream(path):
            with _open(os.path.realpath(path), mode) as file:
                yield file
        else:
            with _whole(os.path.realpath(path), mode) as file:
                yield file
    except OSError as error:
        if error.filename is None or temporary.is_one(error.filename):  # name the file that the user asked for
            raise type(error)(error.errno, error.strerror, path) from error
        raise


@contextmanager
def _whole(target: str, mode: str) -> Iterator[IO[Any]]:
    existing = _mode_of(target)
    # The descriptor has the lock, and outlives the file.
    with temporary.new(target, temporary.make_file) as (name, descriptor), _open(descriptor, mode, False) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        if existing is not None:
            os.chmod(name, stat.S_IMODE(existing))
        os.replace(name, target)
    _sync_folder(os.path.dirname(target))


def _mode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _open(target: str | int, mode: str, closes: bool = True) -> IO[Any]:
    if mode == "w":
        return open(target, mode, encoding="utf-8", newline="\n", closefd=closes)
    return open(target, mode, closefd=closes)


def _sync_folder(folder: str) -> None:
    """Makes the rename itself durable, where the platform can open a folder at all."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
