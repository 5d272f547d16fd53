"""CTranslate2's `model.bin`, binary versions 1 to 6. All numbers are little-endian:

version                       uint32
specification, revision       a string, uint32; from version 2 on
count of variables            uint32, and for each of them
    name                      a string
    rank, sizes               uint8, uint32 each
    type, bytes               uint8, uint32; up to version 3 the bytes of a number and how many numbers there are
    the numbers
count of aliases              uint32; from version 3 on, and for each of them
    alias, variable           strings

A string is its length with a zero at the end, uint16, and its bytes with the zero. Numbers of int8 and int16 mean
number / scale, of the variable with "_scale" behind its name: one for a row or one for all.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit.interop.compressed import POINTER, check_pointer
from attnkit.interop.marian_tensor import MOST_TENSORS
from attnkit.printable import quoted
from attnkit.reading import open_regular
from attnkit.weights import widen

NEWEST = 6
"""The binary version that CTranslate2 4 writes."""

MODEL_FILE = "model.bin"
_VOCABULARIES = ("shared_vocabulary.json", "shared_vocabulary.txt", "target_vocabulary.json", "target_vocabulary.txt")

_TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
_TYPES_BY_WIDTH = {4: "float32", 2: "int16", 1: "int8"}  # up to version 3
_NUMPY = {"float32": "<f4", "int8": "i1", "int16": "<i2", "int32": "<i4", "float16": "<f2", "bfloat16": "<u2"}
_FLOATS = ("float32", "float16", "bfloat16")
_INT16_SCALE = 1000.0  # of models that have none beside their int16

_MAX_RANK = 8
_MOST_NAMES = 1 << 26  # bytes of names, many times what any model has
_LONGEST_TEXT = 1 << 12


class _Variable(NamedTuple):
    shape: tuple[int, ...]
    type: str
    begin: int
    size: int


class CTranslate2File:
    """A model file whose headers are read and checked against its size; a variable is read when it is asked for.

    version: the container's. spec, revision: which model it describes, and how old that description is.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError, and ValueError, naming the file, for one that is none or broken."""
        self.path = path
        with open_regular(path) as file:
            check_pointer(file.read(len(POINTER)), path)
            reader = _Reader(file, path)
            self.version = reader.number(4, "a version")
            if not 1 <= self.version <= NEWEST:
                raise reader.other(f"a model of CTranslate2, version 1 to {NEWEST}", quoted(self.version))
            self.spec = reader.text("the specification's name") if self.version >= 2 else ""
            self.revision = reader.number(4, "a revision") if self.version >= 2 else 1
            self._variables = _read_variables(reader, self.version, renamed=self.revision == 1)
            self._aliases = _read_aliases(reader, self._variables) if self.version >= 3 else {}

    def names(self) -> set[str]:
        """Of variables and aliases."""
        return {*self._variables, *self._aliases}

    def __contains__(self, name: str) -> bool:
        return name in self._variables or name in self._aliases

    def alias(self, alias: str, name: str) -> None:
        """Gives a variable one more name, where it is there and the name is free."""
        if name in self and alias not in self:
            self._aliases[alias] = self._aliases.get(name, name)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._find(name).shape

    def type(self, name: str) -> str:
        return self._find(name).type

    def total_size(self) -> int:
        """The numbers in all variables together."""
        return sum(math.prod(variable.shape) for variable in self._variables.values())

    def same(self, one: str, other: str) -> bool:
        """Whether both are one variable, or equal ones, as files without aliases have them."""
        a, b = self._find(one), self._find(other)
        if a == b:
            return True
        names = (f"{self._aliases.get(name, name)}_scale" for name in (one, other))
        scales = [variable and self._read(variable) for variable in map(self._variables.get, names)]
        return a[:2] == b[:2] and scales[0] == scales[1] and self._read(a) == self._read(b)

    def scalar(self, name: str, default: float) -> float:
        """A number that describes the model. Raises ValueError where there is one that is no finite scalar."""
        if name not in self:
            return default
        variable = self._find(name, ())
        value = float(self._floats(variable)[()] if variable.type in _FLOATS else self._array(variable)[()])
        if not math.isfinite(value):
            raise self.other(name, "finite", str(value))
        return value

    def text(self, name: str, default: str) -> str:
        """A text that describes the model."""
        if name not in self:
            return default
        variable = self._find(name)
        if variable.type != "int8" or len(variable.shape) != 1 or variable.size > _LONGEST_TEXT:
            raise self.other(name, "a text", f"{variable.type} {quoted(list(variable.shape))}")
        return self._read(variable).decode("utf-8", "replace")

    def floats(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """A variable as float32: what its numbers mean, of int8 and int16 too. Raises ValueError unless it is there
        with this shape and finite."""
        variable = self._find(name, shape)
        if variable.type in _FLOATS:
            numbers = self._floats(variable)
        elif variable.type in ("int8", "int16"):
            numbers = self._array(variable).astype(np.float32)
            scales = self._scales(name, variable)
            numbers /= scales if scales.ndim == 0 else scales.reshape(-1, *[1] * (numbers.ndim - 1))
        else:
            raise self.other(name, "of numbers", variable.type)
        if not np.isfinite(numbers).all():
            raise self.other(name, "finite", "others")
        return numbers

    def int8(self, name: str, shape: tuple[int, int]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
        """A matrix of int8 as it stands, and a scale for each row: a number is byte / scale."""
        variable = self._find(name, shape)
        scales = np.broadcast_to(self._scales(name, variable), shape[:1])
        bytes_ = self._array(variable)
        if bytes_.min(initial=0) < -127:
            raise self.other(name, "from -127 to 127", "-128")
        return bytes_, np.ascontiguousarray(scales)

    def other(self, name: str, expected: str, got: str) -> ValueError:
        return ValueError(f"[convert] {self.path}: expected {name} {expected}, got {got}")

    def _find(self, name: str, shape: tuple[int, ...] | None = None) -> _Variable:
        variable = self._variables.get(self._aliases.get(name, name))
        if variable is None:
            raise ValueError(f"[convert] {self.path}: expected a variable {name}, which the model does not have")
        if shape is not None and variable.shape != tuple(shape):
            raise self.other(name, f"of shape {list(shape)}", quoted(list(variable.shape)))
        return variable

    def _scales(self, name: str, variable: _Variable) -> npt.NDArray[np.float32]:
        """[rows] or []."""
        beside = f"{self._aliases.get(name, name)}_scale"
        if beside not in self._variables:
            if variable.type == "int16":
                return np.array(_INT16_SCALE, np.float32)
            raise ValueError(f"[convert] {self.path}: expected a variable {beside}, which the model does not have")
        scales = self._variables[beside]
        if scales.type not in _FLOATS or scales.shape not in ((), (1,), variable.shape[:1], (*variable.shape[:1], 1)):
            raise self.other(beside, "a scale for each row", f"{scales.type} {quoted(list(scales.shape))}")
        numbers = self._floats(scales)
        if not ((numbers > 0.0) & (numbers < np.inf)).all():
            raise self.other(beside, "of positive numbers", "others")
        return numbers.reshape(()) if numbers.size == 1 else numbers.reshape(-1)

    def _floats(self, variable: _Variable) -> npt.NDArray[np.float32]:
        array = self._array(variable)
        return widen(array) if variable.type == "bfloat16" else array.astype(np.float32, copy=False)

    def _array(self, variable: _Variable) -> npt.NDArray[Any]:
        return np.frombuffer(self._read(variable), _NUMPY[variable.type]).reshape(variable.shape)

    def _read(self, variable: _Variable) -> bytes:
        with open_regular(self.path) as file:
            file.seek(variable.begin)
            data = file.read(variable.size)
        if len(data) != variable.size:
            raise ValueError(f"[convert] {self.path}: expected a file that stays as it is, got one that became shorter")
        return data


def is_ctranslate2_folder(folder: Path) -> bool:
    path = folder / MODEL_FILE
    if not path.is_file():
        return False
    return any((folder / name).exists() for name in _VOCABULARIES) or _begins_well(path)


def _begins_well(path: Path) -> bool:
    """Whether a file begins with a small version and a name. In one of Marian's the version has eight bytes, and so
    four zeros there."""
    with open_regular(path) as file:
        begin = file.read(64)
    version = int.from_bytes(begin[:4], "little")
    place = 4 if version >= 2 else 8
    length = int.from_bytes(begin[place : place + 2], "little")
    name = begin[place + 2 : place + 1 + length]
    return 1 <= version < 256 and any(begin[4:8]) and length > 1 and name.isascii() and name.decode().isprintable()


class _Reader:
    """Reads on from a place, and never beyond the file's end."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.size = file.seek(0, 2)
        self.place = file.seek(0)
        self._file, self._path = file, path
        self._names = 0

    def take(self, count: int, what: str) -> bytes:
        left = self.size - self.place
        data = self._file.read(count) if count <= left else b""
        if len(data) != count:
            raise self.other(f"{count:,} bytes of {what}", f"{left:,}")
        self.place += count
        return data

    def skip(self, count: int, what: str) -> None:
        if count > self.size - self.place:
            raise self.other(f"{count:,} bytes of {what}", f"{self.size - self.place:,}")
        self.place = self._file.seek(self.place + count)

    def number(self, width: int, what: str) -> int:
        return int.from_bytes(self.take(width, what), "little")

    def count(self, what: str) -> int:
        count = self.number(4, f"a count of {what}")
        if count > MOST_TENSORS:
            raise self.other(f"at most {MOST_TENSORS:,} {what}", f"{count:,}")
        return count

    def text(self, what: str) -> str:
        length = self.number(2, what)
        self._names += length
        if self._names > _MOST_NAMES:
            raise self.other(f"names of at most {_MOST_NAMES:,} bytes", "longer ones")
        content = self.take(length, what).split(b"\0", 1)[0]
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise self.other(f"{what} in UTF-8", quoted(content)) from None
        if not text.isprintable():
            raise self.other(what, quoted(text))
        return text

    def other(self, expected: str, got: str) -> ValueError:
        return ValueError(f"[convert] {self._path}: expected {expected}, got {got}")


def _read_variables(reader: _Reader, version: int, renamed: bool) -> dict[str, _Variable]:
    variables: dict[str, _Variable] = {}
    for _ in range(reader.count("variables")):
        name = reader.text("a variable's name")
        name = _present_name(name) if renamed else name
        if name in variables or not name:
            raise reader.other("each variable once, with a name", quoted(name))
        variables[name] = _read_header(reader, name, version)
        reader.skip(variables[name].size, quoted(name))
    return variables


def _read_header(reader: _Reader, name: str, version: int) -> _Variable:
    rank = reader.number(1, "a rank")
    if rank > _MAX_RANK:
        raise reader.other(f"{quoted(name)} of at most {_MAX_RANK} dimensions", str(rank))
    shape = struct.unpack(f"<{rank}I", reader.take(4 * rank, "a shape"))
    number, size = reader.number(1, "a type"), reader.number(4, "a length")
    if version >= 4:
        kind = _TYPES[number] if number < len(_TYPES) else None
    else:
        kind, size = _TYPES_BY_WIDTH.get(number), number * size
    if kind is None:
        raise reader.other(f"{quoted(name)} of a type of CTranslate2's", f"the number {number}")
    if math.prod(shape) * np.dtype(_NUMPY[kind]).itemsize != size:
        raise reader.other(f"the bytes of {quoted(name)}, {kind} {quoted(list(shape))}", f"{size:,}")
    return _Variable(shape, kind, reader.place, size)


def _read_aliases(reader: _Reader, variables: dict[str, _Variable]) -> dict[str, str]:
    """The variable of each alias. What is there already keeps its name, as in CTranslate2."""
    aliases: dict[str, str] = {}
    for _ in range(reader.count("aliases")):
        alias, name = reader.text("an alias"), reader.text("a variable's name")
        name = aliases.get(name, name)
        if name not in variables:
            raise reader.other(f"a variable for the alias {quoted(alias)}", quoted(name))
        if alias not in variables:
            aliases.setdefault(alias, name)
    return aliases


def _present_name(name: str) -> str:
    """The name now of a variable of revision 1, which had those of OpenNMT-tf."""
    for old, new in _renamings("encoder" in name):
        name = name.replace(old, new, 1)
    return name


def _renamings(encodes: bool) -> Iterator[tuple[str, str]]:
    yield from (
        ("transformer/", ""), (":0", ""), ("w_embs", "embeddings/weight"), ("kernel", "weight"),
        ("LayerNorm", "layer_norm"), ("dense", "projection"), ("conv1d_", "linear_"), ("conv1d", "linear_0"),
    )  # fmt: skip
    if encodes:
        yield "multi_head", "self_attention"
    else:
        yield "masked_multi_head", "self_attention"
        yield "multi_head", "attention"
