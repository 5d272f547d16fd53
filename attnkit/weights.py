"""Weights on disk: the one reader and the one writer of safetensors, for every part that keeps arrays.

A file is 8 bytes with the header's length, the header (JSON: each tensor's type, shape and place), and the tensors'
bytes one behind the other. The header is checked against the file's size before memory is taken for any tensor, so that
a broken or hostile file is one ValueError, here, for all. What a file holds beyond what somebody reads costs nothing.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit import _core
from attnkit._core import Tensor
from attnkit.files import atomic_write

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

# Bits of a number, by the name of its type.
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
    "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip

# The NumPy type of each that has one. bfloat16 has none: its bits are read, the upper half of a float32's.
_NUMPY = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip

# The types from the first to the last that the library writes: the largest stand first in a file.
_ORDER = tuple(
    reversed(("U64", "I64", "F64", "C64", "F32", "U32", "I32", "BF16", "F16", "U16", "I16", "I8", "U8", "BOOL"))
)

FLOATS = ("F32", "F16", "BF16", "F64")
"""The types that are read as weights, as float32."""

# Beside an int8 weight: a multiplier for each of its rows, and, where its inputs have one, theirs (see
# attnkit._core.from_int8).
_MULTIPLIERS, _INPUT_MULTIPLIER = ".multipliers", ".input_multiplier"

_MAX_HEADER = 100_000_000  # bytes, the format's own limit
_MAX_RANK = 32
_DROPPED_AT = 1 << 24  # bytes of a mapping; more rarely costs memory, more often time


class WeightsError(ValueError):
    """A file that is no safetensors file, or a broken one. reason: why, without the file's name."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{os.fspath(path)}: not a readable safetensors file ({reason})")
        self.reason = reason


def item_size(kind: str) -> int:
    """The bytes of a number of one of the format's types that are whole bytes."""
    return _BITS[kind] // 8


class Entry(NamedTuple):
    """A tensor in a file. begin, end: its bytes, counted from the start of the file."""

    type: str
    shape: tuple[int, ...]
    begin: int
    end: int


class WeightsFile:
    """A safetensors file whose header is read and checked; a tensor is read when it is asked for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises FileNotFoundError, or WeightsError (a ValueError) for a file that is none."""
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"{path}: no such file; a model directory holds {CONFIG_FILE} and {WEIGHTS_FILE}")
        with open(self.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if length == int.from_bytes(b"version ", "little"):
                raise WeightsError(path, "a git-lfs pointer to it; `git lfs pull` in its folder fetches the file")
            if size < 8 or length > min(size - 8, _MAX_HEADER):
                raise WeightsError(path, f"expected a header within its {size} bytes, got one of {length}")
            header = file.read(length)
        try:
            table = json.loads(header.decode(), object_pairs_hook=_distinct)
            self.metadata = _read_metadata(table)
            self.entries = _read_entries(table, 8 + length, size)
        except RecursionError:
            raise WeightsError(path, "expected a header of tensors, got one nested without end") from None
        except ValueError as error:
            raise WeightsError(path, str(error)) from None

    def read(self, name: str) -> npt.NDArray[Any]:
        """A tensor, in NumPy's type; of bfloat16 its bits as uint16 (see `widen`). KeyError for a name that is not
        there, WeightsError for a type that NumPy lacks."""
        entry = self.entries[name]
        if entry.type not in _NUMPY:
            raise WeightsError(self.path, f"expected {name} of a type that NumPy has, got {entry.type}")
        count = (entry.end - entry.begin) // (_BITS[entry.type] // 8)
        array = np.fromfile(self.path, _NUMPY[entry.type], count, offset=entry.begin)
        if len(array) != count:
            raise WeightsError(self.path, f"expected {count} numbers of {name}, got {len(array)}")
        return array.reshape(entry.shape)

    def read_floats(self, name: str) -> npt.NDArray[np.float32]:
        """A tensor of one of the types `FLOATS`, as float32. KeyError or WeightsError, as `read`."""
        entry = self.entries[name]
        if entry.type not in FLOATS:
            raise WeightsError(self.path, f"expected {name} of type {', '.join(FLOATS)}, got {entry.type}")
        array = self.read(name)
        return widen(array) if entry.type == "BF16" else array.astype(np.float32, copy=False)


class MappedWeights(dict[str, np.ndarray]):
    """Arrays that lie in a file, mapped privately. skipped: the tensors that are no weights. bfloat16: the names of
    those that are its bits. int8: of those that are bytes, the multipliers of rows and inputs.

    Who cuts the file, as by writing over it in place, ends a process that then reads them (SIGBUS).
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], skipped: Mapping[str, Entry], mapping: mmap.mmap) -> None:
        super().__init__(arrays)
        self.skipped = dict(skipped)
        self.bfloat16: set[str] = set()
        self.int8: dict[str, tuple[npt.NDArray[np.float32], float]] = {}
        self._mapping = mapping

    def copy_all_but(self, names: set[str]) -> None:
        """Takes the others into memory, where nothing that befalls the file reaches them."""
        mapped = np.frombuffer(self._mapping, np.uint8)
        read = 0
        for name, array in self.items():  # in the order of the file
            if name in names or not np.may_share_memory(array, mapped):  # those of other types are in memory already
                continue
            self[name] = array.copy()
            read += array.nbytes
            if read > _DROPPED_AT:
                self.drop_pages()
                read = 0
        self.drop_pages()

    def drop_pages(self) -> None:
        """Gives back the memory of what has been read of the file; what is looked at again is read again.

        Only for arrays that nobody has written to: that would be lost.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)


def tensors_of(weights: MappedWeights, kept: Container[str]) -> dict[str, np.ndarray | Tensor]:
    """The weights for a model: those of bfloat16 and int8 as tensors over their bits where their names are in `kept`,
    else as float32. Raises ValueError for multipliers that are none."""

    def of(name: str, array: np.ndarray) -> np.ndarray | Tensor:
        if name in weights.int8:
            weight = _of_int8(name, array, *weights.int8[name])
            return weight if name in kept else weight.to("float32")
        if name not in weights.bfloat16:
            return array
        return _core.from_bits(array) if name in kept else widen(array)

    return {name: of(name, array) for name, array in weights.items()}


def _of_int8(name: str, data: np.ndarray, multipliers: npt.NDArray[np.float32], of_inputs: float) -> Tensor:
    try:
        return _core.from_int8(data, multipliers, of_inputs)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def widen(bits: npt.NDArray[np.uint16]) -> npt.NDArray[np.float32]:
    """The float32 numbers of bfloat16's bits."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def save_weights(
    state: Mapping[str, np.ndarray | Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays and tensors, of bfloat16 too, as safetensors, atomically, with the bytes of the format's library.

    The library would need all of it in memory once more, ends in a panic where there is too little, and knows bfloat16
    only with another library. Raises TypeError for an array of a type that the format lacks.
    """
    parts = [part for name, x in state.items() for part in _parts(name, x)]
    tensors = sorted((_written(*part) for part in parts), key=lambda tensor: (-_ORDER.index(tensor.type), tensor.name))
    table: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata is not None else {}
    position = 0
    for name, kind, shape, array in tensors:
        table[name] = {"dtype": kind, "shape": shape, "data_offsets": [position, position + array.nbytes]}
        position += array.nbytes
    header = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with atomic_write(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for tensor in tensors:
            file.write(tensor.array.data)


def _parts(name: str, x: np.ndarray | Tensor) -> Iterator[tuple[str, np.ndarray | Tensor]]:
    """An int8 weight is three entries of a file."""
    if not (isinstance(x, Tensor) and x.dtype == "int8"):
        yield name, x
        return
    data, multipliers, input_multiplier = _core.int8_parts(x)
    yield name, data
    yield name + _MULTIPLIERS, multipliers
    if input_multiplier:
        yield name + _INPUT_MULTIPLIER, np.array([input_multiplier], np.float32)


class _Written(NamedTuple):
    """A tensor for a file; the array's type may be another one of its size."""

    name: str
    type: str
    shape: list[int]
    array: npt.NDArray[Any]


def _written(name: str, x: np.ndarray | Tensor) -> _Written:
    array = x.numpy(writable=False) if isinstance(x, Tensor) else x
    kind = "BF16" if array.dtype.name == "bfloat16" or (isinstance(x, Tensor) and x.dtype == "bfloat16") else None
    if kind is None:
        little = array.dtype.newbyteorder("<")
        kind = next((kind for kind, numpy in _NUMPY.items() if kind != "BF16" and np.dtype(numpy) == little), None)
        if kind is None:
            raise TypeError(f"expected {name} of a type that safetensors has, got {array.dtype}")
        array = array.astype(little, copy=False)
    shape = list(array.shape)
    # As bytes: NumPy gives no buffer of a type that is not its own.
    return _Written(name, kind, shape, np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def load_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Every tensor of a safetensors file, bfloat16 as float32. A broken or hostile file, or a type that NumPy lacks,
    raises ValueError; sizes are checked before memory is taken."""
    file = WeightsFile(path)
    return {
        name: file.read_floats(name) if entry.type == "BF16" else file.read(name)
        for name, entry in file.entries.items()
    }


def map_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """What `load_weights` gives of a file without bfloat16, as arrays that lie in the file, mapped privately, for who
    copies what is to stay (see `MappedWeights`)."""
    file = WeightsFile(path)
    if strange := next((name for name, entry in file.entries.items() if entry.type not in _NUMPY), None):
        raise WeightsError(path, f"expected {strange} of a type that NumPy has, got {file.entries[strange].type}")
    data = np.frombuffer(_mapped(path), np.uint8)
    return {name: _placed(data, entry) for name, entry in file.entries.items()}


def _mapped(path: str | os.PathLike[str]) -> mmap.mmap:
    with open(path, "rb") as opened:
        return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)


def _placed(data: npt.NDArray[np.uint8], entry: Entry) -> np.ndarray:
    """A tensor among the bytes of a file."""
    return data[entry.begin : entry.end].view(_NUMPY[entry.type]).reshape(entry.shape)


def map_weights(path: str | os.PathLike[str]) -> MappedWeights:
    """The weights of a model without reading them yet: float32 arrays and the bits of bfloat16 lie in the file, mapped
    privately, as long as they live; those of other types in `FLOATS` are read. What is of another type still is no
    weight, and is skipped.

    Pages come in when they are looked at, and the system can drop them again. Raises what `load_weights` does.
    """
    file = WeightsFile(path)
    mapping = _mapped(path)
    data = np.frombuffer(mapping, np.uint8)
    arrays: dict[str, np.ndarray] = {}
    skipped: dict[str, Entry] = {}
    int8 = _int8_weights(file, data)
    beside = {name + end for name in int8 for end in (_MULTIPLIERS, _INPUT_MULTIPLIER)}
    for name, entry in file.entries.items():
        if name in beside:
            continue
        if entry.type not in FLOATS and name not in int8:
            skipped[name] = entry
        elif entry.type in ("F32", "BF16", "I8"):
            arrays[name] = _placed(data, entry)
        else:
            arrays[name] = file.read_floats(name)
    weights = MappedWeights(arrays, skipped, mapping)
    weights.bfloat16 = {name for name in arrays if file.entries[name].type == "BF16"}
    weights.int8 = int8
    return weights


def _int8_weights(file: WeightsFile, data: npt.NDArray[np.uint8]) -> dict[str, tuple[npt.NDArray[np.float32], float]]:
    """The matrices of bytes that have their multipliers beside them, and these. data: the file's bytes."""
    found = {}
    for name, entry in file.entries.items():
        rows = file.entries.get(name + _MULTIPLIERS)
        if entry.type != "I8" or len(entry.shape) != 2 or rows is None:
            continue
        if rows.type != "F32" or rows.shape != entry.shape[:1]:
            raise WeightsError(file.path, f"expected {name + _MULTIPLIERS} of type F32 and a number for each row")
        inputs = file.entries.get(name + _INPUT_MULTIPLIER)
        if inputs is not None and (inputs.type, inputs.shape) != ("F32", (1,)):
            raise WeightsError(file.path, f"expected {name + _INPUT_MULTIPLIER} of type F32 and one number")
        of_inputs = 0.0 if inputs is None else float(_placed(data, inputs)[0])
        found[name] = _placed(data, rows).copy(), of_inputs
    return found


# ----- The header. What is wrong with it is a ValueError that says so.


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("expected distinct names, got one twice")
    return table


def _read_metadata(table: Any) -> dict[str, str]:
    if not isinstance(table, dict):
        raise ValueError("expected a header of tensors by name, got another JSON value")
    metadata = table.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("expected text under __metadata__, got another JSON value")
    return metadata


def _read_entries(table: dict[str, Any], data_begin: int, size: int) -> dict[str, Entry]:
    """The tensors in the order of their bytes, which they must fill without holes and without sharing any."""
    entries = {name: _read_entry(name, value, size - data_begin) for name, value in table.items()}
    entries = dict(sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)))
    position = 0
    for name, entry in entries.items():
        if entry.begin != position:
            raise ValueError(f"expected {name[:100]!r} to begin at {position}, where the tensor before it ends")
        position = entry.end
    if position != size - data_begin:
        raise ValueError(f"expected {position} bytes of tensors, got {size - data_begin}")
    return {name: entry._replace(begin=data_begin + entry.begin, end=data_begin + entry.end)
            for name, entry in entries.items()}  # fmt: skip


def _read_entry(name: str, value: Any, available: int) -> Entry:
    """One tensor of the header, its bytes counted from the header's end."""
    shown = repr(name[:100])
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"expected dtype, shape and data_offsets of {shown}, got others")
    kind, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(kind, str) or kind not in _BITS:
        raise ValueError(f"expected a type of the format for {shown}, got {str(kind)[:100]!r}")
    if not _are_sizes(shape) or len(shape) > _MAX_RANK:
        raise ValueError(f"expected a shape of at most {_MAX_RANK} sizes for {shown}, got another")
    if not _are_sizes(offsets) or len(offsets) != 2 or not offsets[0] <= offsets[1] <= available:
        raise ValueError(f"expected two rising offsets up to {available} for {shown}, got others")
    # At most 32 sizes of at most 4300 digits: Python's integers neither overflow nor take long.
    if _BITS[kind] * math.prod(shape) != 8 * (offsets[1] - offsets[0]):
        raise ValueError(f"expected the bytes that the type and shape of {shown} need, got {offsets[1] - offsets[0]}")
    return Entry(kind, tuple(shape), offsets[0], offsets[1])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)
