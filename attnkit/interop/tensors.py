"""The tensors of a public checkpoint: one safetensors file, or several shards with an index. Never a pickle.

The headers are read first and checked against the files' sizes, so that names and shapes are known before memory is
taken for any tensor.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_FILES = ("pytorch_model.bin", "pytorch_model.bin.index.json")

# How a number of each type lies in the file. bfloat16 is the upper half of a float32.
_TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}


class _Tensor(NamedTuple):
    file: Path
    type: str
    shape: tuple[int, ...]
    position: int  # in the file, in bytes


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


class Tensors:
    """The tensors of a folder by name."""

    def __init__(self, folder: Path) -> None:
        """Reads the headers. Raises FileNotFoundError or ValueError, naming the file."""
        self.folder = folder
        self._tensors: dict[str, _Tensor] = {}
        if (folder / WEIGHTS_FILE).is_file():
            self._tensors = _read_header(folder / WEIGHTS_FILE)
        elif (folder / INDEX_FILE).is_file():
            self._read_shards()
        else:
            _refuse(folder)

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def names(self) -> set[str]:
        return set(self._tensors)

    def total_size(self) -> int:
        """The numbers in all tensors together."""
        return sum(math.prod(tensor.shape) for tensor in self._tensors.values())

    def read(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """A tensor as float32. Raises ValueError unless it is there with this shape."""
        tensor = self._find(name)
        if tensor.shape != shape:
            raise ValueError(
                f"[convert] {tensor.file}: expected {name} of shape {list(shape)}, got {list(tensor.shape)}"
            )
        words = np.fromfile(tensor.file, _TYPES[tensor.type], math.prod(shape), offset=tensor.position).reshape(shape)
        if tensor.type == "BF16":
            return (words.astype(np.uint32) << 16).view(np.float32)
        return words.astype(np.float32, copy=False)

    def _find(self, name: str) -> _Tensor:
        if name not in self._tensors:
            raise ValueError(f"[convert] {self.folder}: expected a tensor {name}, which the checkpoint does not have")
        return self._tensors[name]

    def _read_shards(self) -> None:
        index = self.folder / INDEX_FILE
        try:
            files = msgspec.json.decode(index.read_bytes(), type=_Index).weight_map
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"[convert] {index}: expected a weight_map of tensor names to files ({error})") from None
        headers = {file: _read_header(self._shard(file)) for file in sorted(set(files.values()))}
        for name, file in files.items():
            if name not in headers[file]:
                raise ValueError(f"[convert] {index}: expected the tensor {name} in {file}, which does not have it")
            self._tensors[name] = headers[file][name]

    def _shard(self, file: str) -> Path:
        """A shard lies in the folder itself: an index that was made elsewhere reads no other files of this machine."""
        if file in ("", ".", "..") or "/" in file or "\\" in file or "\0" in file:
            raise ValueError(f"[convert] {self.folder / INDEX_FILE}: expected names of files beside it, got {file!r}")
        if not (self.folder / file).is_file():
            raise FileNotFoundError(f"[convert] {self.folder / file}: no such file, though {INDEX_FILE} names it")
        return self.folder / file


def _refuse(folder: Path) -> None:
    for pickle in PICKLE_FILES:
        if (folder / pickle).is_file():
            raise ValueError(
                f"[convert] {folder / pickle}: expected {WEIGHTS_FILE}, got a pickle, which may run any code when it "
                "is read; where PyTorch and transformers are installed, write safetensors first: python -c "
                f'"from transformers import MarianMTModel as M; M.from_pretrained({os.fspath(folder)!r})'
                f'.save_pretrained({os.fspath(folder)!r})"'
            )
    raise FileNotFoundError(f"[convert] {folder}: expected {WEIGHTS_FILE} or {INDEX_FILE}, got neither")


def _read_header(file: Path) -> dict[str, _Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy"):  # checks that the header is whole and the tensors fill the file
            pass
        with open(file, "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
        header.pop("__metadata__", None)
        tensors = {
            name: _Tensor(file, entry["dtype"], tuple(entry["shape"]), 8 + size + entry["data_offsets"][0])
            for name, entry in header.items()
        }
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"[convert] {file}: not a readable safetensors file ({error})") from None
    for name, tensor in tensors.items():
        if tensor.type not in _TYPES:
            raise ValueError(f"[convert] {file}: expected {name} of type {', '.join(_TYPES)}, got {tensor.type}")
    return tensors
