"""A lock for what belongs to the whole process, such as Python's list of warning filters, and outlives a fork.

A child has only the thread that forked. If another held an ordinary lock at that moment, it stays locked in the child
for ever, and what it guards stays half changed. To hold the lock while the process forks is no way out: who holds it
may wait for a lock that the fork has already taken, such as that of `logging`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class ProcessLock:
    """A context manager, one thread at a time. Free in a forked child; if it was held, `mend` first puts in order there
    what it guards. It lives as long as the process."""

    def __init__(self, mend: Callable[[], object] = lambda: None) -> None:
        self._mend = mend
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._renew)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _renew(self) -> None:
        held = self._lock.locked()
        self._lock = threading.Lock()
        if held:
            self._mend()
