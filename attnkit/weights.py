"""Weights on disk: arrays as safetensors, written whole or not at all, read or mapped."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from attnkit.files import atomic_write

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"


def save_weights(state: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Writes arrays as safetensors, atomically."""
    from safetensors.numpy import save

    with atomic_write(path, "wb") as file:
        file.write(save(dict(state)))


def load_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Reads safetensors. A broken or hostile file raises ValueError; sizes are checked before memory is taken."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; a model directory holds {CONFIG_FILE} and {WEIGHTS_FILE}")
    try:
        return load_file(path)
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error})") from error


class MappedWeights(dict[str, np.ndarray]):
    """Arrays that lie in a file, mapped privately."""

    def __init__(self, arrays: Mapping[str, np.ndarray], mapping: mmap.mmap) -> None:
        super().__init__(arrays)
        self._mapping = mapping

    def drop_pages(self) -> None:
        """Gives back the memory of what has been read of the file; what is looked at again is read again.

        Only for arrays that nobody has written to: that would be lost.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)


def map_weights(path: str | os.PathLike[str]) -> MappedWeights:
    """`load_weights` without reading the file yet: float32 arrays lie in it, mapped privately, as long as they live.

    Pages come in when they are looked at, and the system can drop them again. Raises what `load_weights` does.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file; a model directory holds {CONFIG_FILE} and {WEIGHTS_FILE}")
    try:
        with safe_open(path, framework="numpy") as file:  # checks the header against the size of the file
            names = list(file.keys())
            with open(path, "rb") as opened:
                mapping = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)
            mapped = np.frombuffer(mapping, np.uint8)
            begin = 8 + int.from_bytes(mapped[:8].tobytes(), "little")
            header = json.loads(mapped[8:begin].tobytes())
            entries = {name: header[name] for name in names}
            arrays = {
                name: _array_in(mapped[begin:], entry) if entry["dtype"] == "F32" else file.get_tensor(name)
                for name, entry in entries.items()
            }
            return MappedWeights(arrays, mapping)
    except (SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a readable safetensors file ({error})") from error


def _array_in(data: np.ndarray, entry: dict[str, Any]) -> np.ndarray:
    begin, end = entry["data_offsets"]
    return data[begin:end].view(np.float32).reshape(entry["shape"])
