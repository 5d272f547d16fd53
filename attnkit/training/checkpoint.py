"""Checkpoints: files that are whole or absent, and that say when they are damaged.

In a run's folder `checkpoints/`:
    last.safetensors            the state to resume from: weights, optimizer moments, and `State` as JSON metadata
    weights-STEP.safetensors    weights alone: of the best validation, and of those that are to be averaged
A new file replaces an old one only when it is on the disk (`attnkit.files.atomic_write`), and weights that `last` does
not name are removed only after it: a run that is killed at any moment finds a state and all that it names.
"""

from __future__ import annotations

import itertools
import os
import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import typed
from attnkit.files import remove_leftovers
from attnkit.training.errors import CheckpointError
from attnkit.training.state import State
from attnkit.weights import WeightsError, WeightsFile, save_weights

FORMAT = 1
Arrays = Mapping[str, npt.NDArray[np.float32]]

_KEY = "attnkit.checkpoint"
_MODEL, _OPTIMIZER = "model.", "optimizer."
_WEIGHTS = re.compile(r"weights-(\d+)\.safetensors")


class _Header(msgspec.Struct):
    """What a file says of itself, as JSON in safetensors' metadata; `state` is JSON too, or empty."""

    format: int
    crc32: str
    state: str


class CheckpointFolder:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = folder / "last.safetensors"

    def exists(self) -> bool:
        """Whether there is a state to resume from."""
        return self.last.exists()

    def save(self, state: State, weights: Arrays, optimizer: Arrays) -> None:
        """Writes the state to resume from, then removes the weights that it does not name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arrays = {_MODEL + name: array for name, array in weights.items()}
        arrays |= {_OPTIMIZER + name: array for name, array in optimizer.items()}
        _write(self.last, arrays, msgspec.json.encode(state).decode())
        self.tidy(state)

    def load(self) -> tuple[State, dict[str, npt.NDArray[np.float32]], dict[str, npt.NDArray[np.float32]]]:
        """State, weights and optimizer arrays. Raises CheckpointError for a damaged file, OSError for none."""
        arrays, text = _read(self.last)
        try:
            state = typed.from_json(text, State)
        except msgspec.DecodeError as error:
            raise CheckpointError(f"{self.last}: damaged checkpoint: its state cannot be read: {error}") from None
        for step in sorted(_kept(state)):
            self.load_weights(step)  # an end that cannot be reached should show now, not after hours of training
        return state, _with_prefix(arrays, _MODEL), _with_prefix(arrays, _OPTIMIZER)

    def save_weights(self, step: int, weights: Arrays) -> None:
        """Keeps the weights of a step; they stay once a state that names them is saved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self._weights(step), weights, "")

    def load_weights(self, step: int) -> dict[str, npt.NDArray[np.float32]]:
        """The weights of a step. Raises CheckpointError for a damaged file, or none."""
        path = self._weights(step)
        if not path.is_file():
            raise CheckpointError(f"{path}: expected the weights of step {step}, which the run needs, got no such file")
        return _read(path)[0]

    def average(self, steps: Iterable[int], *more: Arrays) -> dict[str, npt.NDArray[np.float32]]:
        """The mean of the weights of some steps and of `more`, summed in float64 in that order."""
        sums: dict[str, npt.NDArray[np.float64]] = {}
        count = 0
        for weights in itertools.chain(map(self.load_weights, steps), more):
            count += 1
            for name, array in weights.items():
                sums[name] = sums[name] + array if name in sums else array.astype(np.float64)
        if not count:
            raise ValueError("[average] expected at least one set of weights, got none")
        return {name: (total / count).astype(np.float32) for name, total in sums.items()}

    def tidy(self, state: State) -> None:
        """Removes the weights that the saved state does not name, and what a killed process was writing."""
        remove_leftovers(self.folder)
        for entry in list(os.scandir(self.folder)):
            match = _WEIGHTS.fullmatch(entry.name)
            if match and int(match[1]) not in _kept(state):
                os.unlink(entry.path)

    def _weights(self, step: int) -> Path:
        return self.folder / f"weights-{step}.safetensors"


def _kept(state: State) -> set[int]:
    """The steps whose weights a run may need at its end."""
    return {*state.snapshots, *(() if state.best_score is None else (state.best_step,))}


def _with_prefix(arrays: Arrays, prefix: str) -> dict[str, npt.NDArray[np.float32]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _write(path: Path, arrays: Arrays, state: str) -> None:
    header = msgspec.json.encode(_Header(FORMAT, _checksum(arrays, state), state)).decode()
    save_weights(arrays, path, {_KEY: header})  # one key, so that the same checkpoint is the same bytes


def _read(path: Path) -> tuple[dict[str, npt.NDArray[np.float32]], str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    try:
        file = WeightsFile(path)
        arrays = {name: file.read(name) for name in file.entries}
    except WeightsError as error:
        raise CheckpointError(f"{path}: damaged checkpoint: {error.reason}") from None
    if _KEY not in file.metadata:
        raise CheckpointError(f"{path}: expected a checkpoint, got another kind of safetensors file")
    try:
        header = typed.from_json(file.metadata[_KEY], _Header)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path}: damaged checkpoint: {error}") from None
    if header.format != FORMAT:
        raise CheckpointError(f"{path}: expected a checkpoint of format {FORMAT}, got {header.format}")
    if header.crc32 != _checksum(arrays, header.state):
        raise CheckpointError(f"{path}: damaged checkpoint: its checksum does not match its content")
    return arrays, header.state


def _checksum(arrays: Arrays, state: str) -> str:
    checksum = zlib.crc32(state.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        checksum = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(array.data, checksum)
    return f"{checksum:08x}"
