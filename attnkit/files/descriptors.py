"""Descriptors of this process that have names: /dev/stdout, /dev/fd/N, and what a shell makes of `>(command)`.

They are written as they are, not opened by their names: that fails for a socket, and would begin a file anew that the
descriptor appends to.
"""

from __future__ import annotations

import errno
import os
import sys

_MOST_LINKS = 40  # Linux follows no more


def number_of(path: str) -> int | None:
    """N for /dev/fd/N, and for whatever links there, such as /dev/stdout; None for any other path."""
    own = {os.path.realpath(folder) for folder in ("/dev/fd", "/proc/self/fd")}
    for _ in range(_MOST_LINKS):
        folder, name = os.path.split(os.path.abspath(path))
        folder = os.path.realpath(folder)
        if folder in own and name.isdecimal():
            return int(name)
        path = os.path.join(folder, name)
        if not os.path.islink(path):
            return None
        path = os.path.join(folder, os.readlink(path))
    return None


def obstacle(descriptor: int) -> int:
    """Why it cannot be written, as an error number, or 0."""
    import fcntl

    try:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    except (OSError, OverflowError):
        return errno.EBADF
    return errno.EBADF if flags & os.O_ACCMODE == os.O_RDONLY else 0


def duplicate(descriptor: int) -> int:
    """Another descriptor of what this one writes to, which can be closed alone. Raises OSError."""
    if reason := obstacle(descriptor):
        raise OSError(reason, os.strerror(reason))
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # what was said before comes before
    return os.dup(descriptor)
