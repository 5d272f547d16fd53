"""The tensors of a public checkpoint: one file, or several shards with an index.

Safetensors first; a folder that has none may have PyTorch's own files (`pytorch_file.py`). What a file says of its
tensors is read first and checked against its size, so that names and shapes are known before memory is taken for any.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import typed
from attnkit.interop.pytorch_file import PytorchFile
from attnkit.printable import quoted
from attnkit.reading import read_file
from attnkit.weights import FLOATS, WEIGHTS_FILE, Entry, WeightsError, WeightsFile, item_size

INDEX_FILE = "model.safetensors.index.json"
PYTORCH_FILE, PYTORCH_INDEX_FILE = "pytorch_model.bin", "pytorch_model.bin.index.json"


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


_File = WeightsFile | PytorchFile


def _open(file: Path) -> WeightsFile:
    try:
        return WeightsFile(file)
    except WeightsError as error:
        raise ValueError(f"[convert] {error}") from None


# Which files are looked for, in this order, and what reads them.
_READERS: dict[str, Callable[[Path], _File]] = {
    WEIGHTS_FILE: _open,
    INDEX_FILE: _open,
    PYTORCH_FILE: PytorchFile,
    PYTORCH_INDEX_FILE: PytorchFile,
}


class Tensors:
    """The tensors of a folder by name. file: the one file, or the index of several. notes: a line for people where it
    is PyTorch's."""

    def __init__(self, folder: Path) -> None:
        """Reads the headers. Raises FileNotFoundError or ValueError, naming the file."""
        self.folder = folder
        self._files: dict[str, _File] = {}  # of each tensor
        name = next((name for name in _READERS if (folder / name).is_file()), None)
        if name is None:
            raise FileNotFoundError(f"[convert] {folder}: expected {WEIGHTS_FILE} or {INDEX_FILE}, got neither")
        self.file, opened = folder / name, _READERS[name]
        if name in (INDEX_FILE, PYTORCH_INDEX_FILE):
            self._read_shards(opened)
        else:
            file = opened(self.file)
            self._files = dict.fromkeys(file.entries, file)
        self.notes = _notes(self.file, list(self._files.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def names(self) -> set[str]:
        """Of the weights: tensors of other types (numbers of positions, say) are none."""
        return {name for name in self._files if self._entry(name).type in FLOATS}

    def total_size(self) -> int:
        """The numbers of all weights together, as many as lie in the files: those that several share count once."""
        total, end = 0, {file.path: 0 for file in self._files.values()}
        for name in sorted(self.names(), key=lambda name: self._entry(name).begin):
            path, entry = self._files[name].path, self._entry(name)
            total += max(0, entry.end - max(entry.begin, end[path])) // item_size(entry.type)
            end[path] = max(end[path], entry.end)
        return total

    def type(self, name: str) -> str:
        return self._entry(name).type

    def shape(self, name: str) -> tuple[int, ...]:
        return self._entry(name).shape

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

    def _read_shards(self, opened: Callable[[Path], _File]) -> None:
        index = self.file
        try:
            files = typed.from_json(read_file(index), _Index).weight_map
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"[convert] {index}: expected a weight_map of tensor names to files ({error})") from None
        shards = {file: opened(self._shard(file)) for file in sorted(set(files.values()))}
        for name, file in files.items():
            if name not in shards[file].entries:
                raise ValueError(f"[convert] {index}: expected the tensor {name} in {file}, which does not have it")
            self._files[name] = shards[file]

    def _shard(self, file: str) -> Path:
        """A shard lies in the folder itself: an index that was made elsewhere reads no other files of this machine."""
        if file in ("", ".", "..") or "/" in file or "\\" in file or "\0" in file:
            raise ValueError(f"[convert] {self.file}: expected names of files beside it, got {quoted(file)}")
        if not (self.folder / file).is_file():
            raise FileNotFoundError(f"[convert] {self.folder / file}: no such file, though {self.file.name} names it")
        return self.folder / file


def _notes(file: Path, parts: list[_File]) -> list[str]:
    found = {part.path: part for part in parts if isinstance(part, PytorchFile)}
    if not found:
        return []
    under = "".join(f", under {name}" for name in sorted({part.under for part in found.values() if part.under}))
    others = sum(part.others for part in found.values())
    more = f"; {others} values beside them, which are none, are left out" if others else ""
    return [f"{file}: a pickle, since there is no {WEIGHTS_FILE}; only its tensors were read{under}{more}"]
