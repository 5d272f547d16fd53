"""A matrix that is written row by row, as NumPy keeps it (.npy): larger than memory, if need be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from attnkit.files import atomic_write

_HEADER = 128  # bytes: room for any number of rows, and the data begins at a multiple of 64, as NumPy has it


@contextmanager
def matrix_file(path: str | os.PathLike[str], width: int) -> Iterator[Callable[[npt.NDArray[np.float32]], None]]:
    """Gives what takes a row, float32 [width]. The file has all rows or does not come to be; `numpy.load` reads it,
    with `mmap_mode` too. Raises OSError."""
    rows = 0
    with atomic_write(path) as file:
        file.write(_header(0, width))

        def append(row: npt.NDArray[np.float32]) -> None:
            nonlocal rows
            if row.shape != (width,):
                raise ValueError(f"[matrix] expected a row of {width} numbers, got shape {list(row.shape)}")
            _write(file, row)
            rows += 1

        yield append
        file.seek(0)
        file.write(_header(rows, width))


def _write(file: BinaryIO, row: npt.NDArray[np.float32]) -> None:
    file.write(np.ascontiguousarray(row, dtype="<f4").tobytes())


def _header(rows: int, width: int) -> bytes:
    """Version 1.0 of NumPy's format: a magic number, the length of what follows, a Python literal, a line end."""
    magic = b"\x93NUMPY\x01\x00"
    said = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}".encode("ascii")
    room = _HEADER - len(magic) - 2
    return magic + room.to_bytes(2, "little") + said.ljust(room - 1) + b"\n"
