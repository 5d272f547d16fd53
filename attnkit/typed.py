"""Tables and JSON as the types that they must be, by msgspec, one at a time.

msgspec finds out about a type when it is first asked for. Where several threads ask at once, as those do that load
models, it brings the process down (msgspec 0.22).
"""

from __future__ import annotations

import os
import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_lock = threading.Lock()


def convert(table: Any, kind: type[T]) -> T:
    """Raises msgspec.ValidationError, which says where what is wrong."""
    with _lock:
        return msgspec.convert(table, kind)


def from_json(text: bytes | str, kind: type[T]) -> T:
    """Raises msgspec.DecodeError for what is no JSON, and msgspec.ValidationError."""
    with _lock:
        return msgspec.json.decode(text, type=kind)


def _after_fork() -> None:
    """The thread that had the lock may not be in the child."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
