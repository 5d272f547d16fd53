"""A checkpoint of `torch.save`, read without PyTorch, and without the module `pickle` or anything like it.

The last resort, where a model has no safetensors: PyTorch's own reader of weights alone could be made to run code
through the form that it wrote before 0.1.10 (CVE-2025-32434, mended in 2.6), and to write over tensors and beyond them
(CVE-2026-24747, mended in 2.10).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit.interop.compressed import POINTER, check_pointer
from attnkit.interop.pytorch_legacy import read_legacy
from attnkit.interop.pytorch_tensor import StoredTensor
from attnkit.interop.pytorch_zip import ZIP, read_zip
from attnkit.printable import quoted
from attnkit.reading import open_regular
from attnkit.weights import FLOATS, Entry, item_size, widen

_NUMPY = {"F32": "<f4", "F16": "<f2", "BF16": "<u2", "F64": "<f8"}
_WRAPPERS = ("state_dict", "model_state_dict", "model")
_TAR = slice(257, 262)
_LONGEST_NAME = 1000


class _State(NamedTuple):
    """under: the key that the tensors lie under, if there is one. others: how many values beside them are none."""

    tensors: dict[str, StoredTensor]
    under: str | None
    others: int


class PytorchFile:
    """The tensors of a file by name, as of a `WeightsFile`: checked when it is opened, read when they are asked for.

    entries: the bytes from a tensor's first number to its last, which several may share.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError, and ValueError, naming the file, for one that is none, is broken or holds more than tensors
        and plain values."""
        self.path = path
        with open_regular(path) as file:
            first = file.read(512)
            check_pointer(first[: len(POINTER)], path)
            try:
                if first[_TAR] == b"ustar":
                    raise ValueError("expected a file of torch.save, got a tar, as PyTorch before 0.1.10 wrote it")
                saved, places = read_zip(file) if first.startswith(ZIP) else read_legacy(file)
                state = _find_state(saved)
            except ValueError as error:
                raise ValueError(f"[pytorch] {path}: {error}") from None
        self.under, self.others = state.under, state.others
        self._tensors = state.tensors
        self.entries = {name: _entry(tensor, places) for name, tensor in state.tensors.items()}

    def read_floats(self, name: str) -> npt.NDArray[np.float32]:
        """A tensor of one of the types `FLOATS`, as float32 and in one piece. KeyError for a name that is not there;
        ValueError for another type, and for float64 that float32 cannot hold."""
        entry, tensor = self.entries[name], self._tensors[name]
        if entry.type not in FLOATS:
            raise ValueError(f"[pytorch] {self.path}: expected {name} of type {', '.join(FLOATS)}, got {entry.type}")
        numbers = np.fromfile(self.path, _NUMPY[entry.type], tensor.extent, offset=entry.begin)
        if len(numbers) != tensor.extent:
            raise ValueError(f"[pytorch] {self.path}: expected a file that stays as it is, got one that became shorter")
        if 0 in tensor.shape:
            return np.zeros(tensor.shape, np.float32)
        strides = [stride * numbers.itemsize for stride in tensor.strides]
        view = np.lib.stride_tricks.as_strided(numbers, tensor.shape, strides)
        if entry.type == "BF16":
            return widen(np.ascontiguousarray(view)).reshape(tensor.shape)
        with np.errstate(over="ignore"):
            array = view.astype(np.float32, order="C", copy=False)
        if entry.type == "F64" and (np.isinf(array) & np.isfinite(view)).any():
            raise ValueError(f"[pytorch] {self.path}: expected {name} within the range of float32, got larger numbers")
        return array


def _entry(tensor: StoredTensor, places: dict[str, int]) -> Entry:
    size = item_size(tensor.storage.type)
    begin = places[tensor.storage.key] + tensor.offset * size
    return Entry(tensor.storage.type, tensor.shape, begin, begin + tensor.extent * size)


def _find_state(saved: Any) -> _State:
    """The state dict, which may be saved itself, or under one of the names that people use."""
    if type(saved) is StoredTensor:
        raise ValueError("expected a state dict, got one tensor without a name")
    if type(saved) is not dict:
        raise ValueError(f"expected a state dict, got a value of type {type(saved).__name__}")
    if _has_tensors(saved):
        return _state(saved, None)
    for key in _WRAPPERS:
        if _has_tensors(saved.get(key)):
            return _state(saved[key], key)
    raise ValueError(f"expected a state dict, itself or under {', '.join(_WRAPPERS)}, got no tensors there")


def _has_tensors(table: Any) -> bool:
    return type(table) is dict and any(type(value) is StoredTensor for value in table.values())


def _state(table: dict[Any, Any], under: str | None) -> _State:
    tensors = {name: value for name, value in table.items() if type(value) is StoredTensor}
    for name in tensors:
        if type(name) is not str or not name.isprintable() or not 0 < len(name) <= _LONGEST_NAME:
            raise ValueError(f"expected names of tensors, got {quoted(name)}")
    return _State(tensors, under, len(table) - len(tensors))
