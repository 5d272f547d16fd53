"""Marian's own model files: `.bin`, its binary format version 1, and `.npz`, NumPy's archive.

Both say of each tensor its name, type, shape and place before any of its numbers. All that is checked against the
file's size when the file is opened, and a tensor is read when it is asked for: no file takes more memory than it has.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from attnkit.interop.compressed import POINTER, check_pointer, is_packed, read_published
from attnkit.interop.marian_bin import read_headers
from attnkit.interop.marian_npz import ZIP, read_archive
from attnkit.interop.marian_tensor import MarianTensor
from attnkit.interop.marian_yaml import read_yaml
from attnkit.printable import quoted
from attnkit.reading import open_regular

CONFIG = "special:model.yml"

_FLOATS = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}


class MarianFile:
    """A model file whose headers are read and checked. It may be packed by gzip or zstd."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, and ValueError, naming file and tensor, for a file that is none, or of a type that is not
        read."""
        self.path = path
        self._content: bytes | None = None  # of a packed file
        with open_regular(path) as file:
            first = file.read(len(POINTER))
        check_pointer(first, path)
        if is_packed(first):
            self._content = read_published(path)
            first = self._content[: len(POINTER)]
        with self._opened() as file:
            read = read_archive if first.startswith(ZIP) else read_headers
            self._tensors: dict[str, MarianTensor] = read(file, path)

    def names(self) -> set[str]:
        """Of the tensors; what is no tensor, the configuration, is not among them."""
        return {name for name in self._tensors if not name.startswith("special:")}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def shape(self, name: str) -> tuple[int, ...]:
        return self._find(name).shape

    def type(self, name: str) -> str:
        """float16, float32, float64, or int8: a matrix of bytes with one multiplier."""
        return self._find(name).type

    def total_size(self) -> int:
        """The numbers in all tensors together."""
        return sum(math.prod(self._tensors[name].shape) for name in self.names())

    def floats(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """A tensor of floating-point numbers as float32. Raises ValueError unless it is there with this shape."""
        tensor = self._find(name, shape)
        if tensor.type not in _FLOATS:
            raise self._other(name, "of type float32", tensor.type)
        numbers = np.frombuffer(self._read(tensor), _FLOATS[tensor.type], math.prod(shape))
        with np.errstate(over="ignore"):  # a float64 beyond float32 is infinite there
            return numbers.reshape(shape, order="F" if tensor.fortran else "C").astype(np.float32, copy=False)

    def int8(
        self, name: str, shape: tuple[int, int], transposed: bool = True, as_stored: bool = False
    ) -> tuple[npt.NDArray[np.int8], float]:
        """A matrix of bytes and its multiplier: a number is byte / multiplier.

        The file keeps it transposed; not so embeddings (`transposed=False`). The array has the shape of the header,
        `shape` = [rows, columns]; `as_stored` gives it as it lies, contiguous: [columns, rows] where it is transposed.
        """
        tensor = self._find(name, shape)
        if tensor.type != "int8":
            raise self._other(name, "of type int8", tensor.type)
        data, count = self._read(tensor), math.prod(shape)
        multiplier = float(np.frombuffer(data, "<f4", 1, offset=count)[0])
        if not 0.0 < multiplier < math.inf:
            raise self._other(name, "with a positive multiplier", str(multiplier))
        array = np.frombuffer(data, np.int8, count).reshape(shape[::-1] if transposed else shape)
        return array.T if transposed and not as_stored else array, multiplier

    def config(self) -> dict[str, Any]:
        """What the model says of its architecture. Raises ValueError where it is missing or not readable."""
        if CONFIG not in self._tensors:
            raise ValueError(f"[convert] {self.path}: expected {CONFIG} in it, got none")
        content = self._read(self._tensors[CONFIG])
        return read_yaml(content.rstrip(b"\0"), f"{self.path}, {CONFIG}")

    def _find(self, name: str, shape: tuple[int, ...] | None = None) -> MarianTensor:
        tensor = None if name.startswith("special:") else self._tensors.get(name)
        if tensor is None:
            raise ValueError(f"[convert] {self.path}: expected a tensor {name}, which the model does not have")
        if shape is not None and tensor.shape != tuple(shape):
            raise self._other(name, f"of shape {list(shape)}", quoted(list(tensor.shape)))
        return tensor

    def _other(self, name: str, expected: str, got: str) -> ValueError:
        return ValueError(f"[convert] {self.path}: expected {name} {expected}, got {got}")

    def _read(self, tensor: MarianTensor) -> bytes:
        with self._opened() as file:
            data = tensor.read(file)
        if len(data) != tensor.size:
            raise ValueError(f"[convert] {self.path}: expected a file that stays as it is, got one that became shorter")
        return data

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        if self._content is not None:
            yield io.BytesIO(self._content)
        else:
            with open_regular(self.path) as file:
                yield file
