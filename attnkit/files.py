"""Files that are either the old one or the new one, whole: what a killed run leaves behind can always be read."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO, Any, BinaryIO, Literal, TextIO, overload


@overload
def atomic_write(path: str | os.PathLike[str], mode: Literal["wb"] = "wb") -> AbstractContextManager[BinaryIO]: ...
@overload
def atomic_write(path: str | os.PathLike[str], mode: Literal["w"]) -> AbstractContextManager[TextIO]: ...
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Any:
    """Opens a new file that takes the name `path` only once it is complete and on the disk.

    `with atomic_write(path) as file: file.write(data)`. Mode "wb" takes bytes, "w" takes UTF-8 text with "\\n" line
    ends. The data goes to a temporary name in the same folder, is synced, and is renamed over `path`; after any
    exception the temporary file is gone and `path` is as it was. A link is followed, and an existing file's
    permissions are kept. A device or a pipe (/dev/stdout) is written directly, since a rename would replace it.

    Raises OSError when the folder cannot be written or the disk is full, ValueError for another mode.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f'[atomic_write] expected mode "w" or "wb", got {mode!r}')
    return _writing(os.path.realpath(os.fspath(path)), mode)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raises the OSError that `atomic_write` would, for callers who want to know before the work starts: the folder is
    there and takes files, and `path` is no folder itself."""
    target = os.path.realpath(os.fspath(path))
    existing = _mode_of(target)
    if existing is not None and not stat.S_ISREG(existing):
        reason = errno.EISDIR if stat.S_ISDIR(existing) else 0
    elif not os.path.isdir(folder := os.path.dirname(target)):
        reason = errno.ENOENT
    else:
        reason = 0 if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES
    if reason:
        raise OSError(reason, os.strerror(reason), os.fspath(path))


@contextmanager
def _writing(target: str, mode: str) -> Iterator[IO[Any]]:
    existing = _mode_of(target)
    if existing is not None and not stat.S_ISREG(existing):
        try:
            with _open(target, mode) as file:
                yield file
        except OSError as error:
            if error.filename is None:
                raise type(error)(error.errno, error.strerror, target) from error
            raise
        return
    # A short name of its own: a long file name plus a suffix could pass the file system's limit.
    temporary = os.path.join(os.path.dirname(target), f".attnkit-{secrets.token_hex(8)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with _open(descriptor, mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if existing is not None:
            os.chmod(temporary, stat.S_IMODE(existing))
        os.replace(temporary, target)
    except OSError as error:
        _remove(temporary)
        if error.filename in (None, temporary):  # name the file that the user asked for, not ours
            raise type(error)(error.errno, error.strerror, target) from error
        raise
    except BaseException:
        _remove(temporary)
        raise
    _sync_folder(os.path.dirname(target))


def _mode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _open(target: str | int, mode: str) -> IO[Any]:
    if mode == "w":
        return open(target, mode, encoding="utf-8", newline="\n")
    return open(target, mode)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _sync_folder(folder: str) -> None:
    """Makes the rename itself durable, where the platform can open a folder at all."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
