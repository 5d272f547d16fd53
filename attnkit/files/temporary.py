"""Names for what is not complete yet, and the end of what killed processes left under such names.

Whoever writes holds a lock, which ends with the process however that ends, and keeps it until what was written has its
name: what is not locked is left over. The names follow from the target's, so that the next attempt meets what an
earlier one left.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATTERN = ".attnkit-*.tmp"


@contextmanager
def new(target: str, make: Callable[[str], int]) -> Iterator[tuple[str, int]]:
    """What `make` makes, a file or a folder, beside `target`: its name, and its descriptor, which is locked.

    The body renames it; after any exception it is gone. Raises OSError.
    """
    name, descriptor = _take(target, make)
    try:
        yield name, descriptor
    except BaseException:
        _remove(name)  # before the lock ends, so that it is not somebody else's
        raise
    finally:
        os.close(descriptor)


def make_file(name: str) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)


def make_folder(name: str) -> int:
    os.mkdir(name)
    try:
        return os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        raise FileExistsError(f"{name}: removed by another process, which took it for left over") from None


def is_one(path: str | bytes) -> bool:
    """Whether a path has a name of this kind."""
    name = os.path.basename(os.fsdecode(path))
    return name.startswith(".attnkit-") and name.endswith(".tmp")


def remove_leftover(name: str) -> bool:
    """Removes what nobody is writing; returns whether nothing has that name."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        if _hold(descriptor, name, without_locks=False):
            _remove(name)
        return not os.path.lexists(name)
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _take(target: str, make: Callable[[str], int]) -> tuple[str, int]:
    names = _names(target)
    for name in names:
        if remove_leftover(name):
            with suppress(FileExistsError):  # another process was quicker
                descriptor = make(name)
                if _hold(descriptor, name, without_locks=True):
                    remove_leftover(next(names))  # of two processes at once that were killed
                    return name, descriptor
                os.close(descriptor)
    raise AssertionError("the names have no end")


def _names(target: str) -> Iterator[str]:
    """Short ones: a long file name plus a suffix could pass the file system's limit."""
    import zlib

    folder, name = os.path.split(target)
    stem = os.path.join(folder, f".attnkit-{zlib.crc32(os.fsencode(name)):08x}")
    return (f"{stem}-{number}.tmp" for number in itertools.count())


def _hold(descriptor: int, name: str, without_locks: bool) -> bool:
    """Locks what has this name; whether we have it now. without_locks: the answer of a file system that has none."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without_locks
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _remove(name: str) -> None:
    if os.path.isdir(name):
        import shutil  # which brings compression along

        shutil.rmtree(name, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            os.unlink(name)
