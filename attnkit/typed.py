"""Tables and JSON as the types that they must be, by msgspec, one at a time.

msgspec finds out about a type when it is first asked for. Where several threads ask at once, as those do that load
models, it brings the process down (msgspec 0.22).
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from attnkit.process_lock import ProcessLock

T = TypeVar("T")
_lock = ProcessLock()


def convert(table: Any, kind: type[T]) -> T:
    """Raises msgspec.ValidationError, which says where what is wrong."""
    with _lock:
        return msgspec.convert(table, kind)


def from_json(text: bytes | str, kind: type[T]) -> T:
    """Raises msgspec.DecodeError for what is no JSON, and msgspec.ValidationError."""
    with _lock:
        return msgspec.json.decode(text, type=kind)
