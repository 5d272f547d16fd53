"""Where a tensor lies in a file of Marian's, and what is checked of names, shapes and sizes in both kinds of file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from attnkit.printable import quoted

MOST_TENSORS = 1 << 16
"""Many times what the deepest model has."""

_MAX_RANK = 8
_BYTES = {"float16": 2, "float32": 4, "float64": 8, "int8": 1, "text": 1}
_MULTIPLIER = 4  # bytes behind an int8 matrix


class MarianTensor(NamedTuple):
    """type: float16, float32, float64, int8 or text. read: gives its `size` bytes. fortran: columns lie one behind the
    other."""

    shape: tuple[int, ...]
    type: str
    size: int
    read: Callable[[BinaryIO], bytes]
    fortran: bool = False


def checked_name(name: bytes, path: Path, others: dict[str, MarianTensor]) -> str:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"[convert] {path}: expected names in UTF-8, got {quoted(name)}") from None
    if not text.isprintable() or not text:
        raise ValueError(f"[convert] {path}: expected names of tensors, got {quoted(text)}")
    if text in others:
        raise ValueError(f"[convert] {path}: expected each tensor once, got {quoted(text)} twice")
    return text


def check_size(name: str, shape: tuple[int, ...], kind: str, size: int, path: Path) -> None:
    """The numbers must lie within the tensor's bytes, of which there may be more."""
    if len(shape) > _MAX_RANK or any(length < 0 for length in shape):
        raise ValueError(f"[convert] {path}: expected {quoted(name)} of a shape, got {quoted(list(shape))}")
    if kind == "int8" and len(shape) != 2:
        raise ValueError(f"[convert] {path}: expected a matrix {quoted(name)} of int8, got {quoted(list(shape))}")
    needed = math.prod(shape) * _BYTES[kind] + (_MULTIPLIER if kind == "int8" else 0)
    if needed > size:
        raise ValueError(
            f"[convert] {path}: expected {needed:,} bytes of {quoted(name)} {quoted(list(shape))}, got {size:,}"
        )
