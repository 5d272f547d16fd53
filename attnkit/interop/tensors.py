"""The tensors of a public checkpoint: one safetensors file, or several shards with an index. Never a pickle.

The headers are read first and checked against the files' sizes, so that names and shapes are known before memory is
taken for any tensor.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import NoReturn

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import typed
from attnkit.printable import quoted
from attnkit.reading import read_file
from attnkit.weights import FLOATS, WEIGHTS_FILE, Entry, WeightsError, WeightsFile

INDEX_FILE = "model.safetensors.index.json"
PICKLE_FILES = ("pytorch_model.bin", "pytorch_model.bin.index.json")


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


class Tensors:
    """The tensors of a folder by name. file: the one file, or the index of several."""

    def __init__(self, folder: Path) -> None:
        """Reads the headers. Raises FileNotFoundError or ValueError, naming the file."""
        self.folder = folder
        self._files: dict[str, WeightsFile] = {}  # of each tensor
        if (folder / WEIGHTS_FILE).is_file():
            self.file = folder / WEIGHTS_FILE
            file = _open(self.file)
            self._files = dict.fromkeys(file.entries, file)
        elif (folder / INDEX_FILE).is_file():
            self.file = folder / INDEX_FILE
            self._read_shards()
        else:
            _refuse(folder)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def names(self) -> set[str]:
        """Of the weights: tensors of other types (numbers of positions, say) are none."""
        return {name for name in self._files if self._entry(name).type in FLOATS}

    def total_size(self) -> int:
        """The numbers in all weights together."""
        return sum(math.prod(self._entry(name).shape) for name in self.names())

    def read(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """A tensor as float32. Raises ValueError unless it is there with this shape."""
        if name not in self._files:
            raise ValueError(f"[convert] {self.folder}: expected a tensor {name}, which the checkpoint does not have")
        file, entry = self._files[name], self._entry(name)
        if entry.shape != shape:
            raise ValueError(f"[convert] {file.path}: expected {name} of shape {list(shape)}, got {list(entry.shape)}")
        if entry.type not in FLOATS:
            raise ValueError(f"[convert] {file.path}: expected {name} of type {', '.join(FLOATS)}, got {entry.type}")
        return file.read_floats(name)

    def _entry(self, name: str) -> Entry:
        return self._files[name].entries[name]

    def _read_shards(self) -> None:
        index = self.folder / INDEX_FILE
        try:
            files = typed.from_json(read_file(index), _Index).weight_map
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"[convert] {index}: expected a weight_map of tensor names to files ({error})") from None
        shards = {file: _open(self._shard(file)) for file in sorted(set(files.values()))}
        for name, file in files.items():
            if name not in shards[file].entries:
                raise ValueError(f"[convert] {index}: expected the tensor {name} in {file}, which does not have it")
            self._files[name] = shards[file]

    def _shard(self, file: str) -> Path:
        """A shard lies in the folder itself: an index that was made elsewhere reads no other files of this machine."""
        if file in ("", ".", "..") or "/" in file or "\\" in file or "\0" in file:
            raise ValueError(
                f"[convert] {self.folder / INDEX_FILE}: expected names of files beside it, got {quoted(file)}"
            )
        if not (self.folder / file).is_file():
            raise FileNotFoundError(f"[convert] {self.folder / file}: no such file, though {INDEX_FILE} names it")
        return self.folder / file


def _refuse(folder: Path) -> NoReturn:
    for pickle in PICKLE_FILES:
        if (folder / pickle).is_file():
            raise ValueError(
                f"[convert] {folder / pickle}: expected {WEIGHTS_FILE}, got a pickle, which may run any code when it "
                "is read; where PyTorch and transformers are installed, write safetensors first: python -c "
                f'"from transformers import MarianMTModel as M; M.from_pretrained({os.fspath(folder)!r})'
                f'.save_pretrained({os.fspath(folder)!r})"'
            )
    raise FileNotFoundError(f"[convert] {folder}: expected {WEIGHTS_FILE} or {INDEX_FILE}, got neither")


def _open(file: Path) -> WeightsFile:
    try:
        return WeightsFile(file)
    except WeightsError as error:
        raise ValueError(f"[convert] {error}") from None
