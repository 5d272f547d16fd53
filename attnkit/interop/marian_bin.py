"""The headers of Marian's binary format, version 1. All numbers are little-endian:

version, count                         uint64 each
name length, type, rank, data length   uint64 each, `count` times; the name's zero at the end counts
names, each with a zero at the end
shapes, int32
padding length                         uint64, then as many bytes
data of the tensors, each of its data length, one behind the other
"""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from attnkit.interop.marian_tensor import MOST_TENSORS, MarianTensor, check_size, checked_name

# The matrices of int8 that intgemm multiplies, intgemm8, have one number in Bergamot's Marian and another in Marian.
_TYPES = {0x402: "float16", 0x404: "float32", 0x408: "float64", 0x4101: "int8", 0x10001: "int8"}
_TEXT = 0x101  # int8 without a multiplier: the configuration

# Types that attnkit does not read.
_OTHERS = {
    0x101: "int8 without a multiplier", 0x102: "int16", 0x104: "int32", 0x108: "int64",
    0x201: "uint8", 0x202: "uint16", 0x204: "uint32", 0x208: "uint64",
    0x802: "packed16 (FBGEMM)", 0x1801: "packed8avx2 (FBGEMM)", 0x2801: "packed8avx512 (FBGEMM)",
    0x4102: "int16 (intgemm16)", 0x10002: "int16 (intgemm16)",
}  # fmt: skip
_INTGEMM, _ONE_CPU = 0x14000, 0xB000  # bits: a matrix for intgemm; packed for one instruction set

_HEADER = struct.Struct("<4Q")


class _Header(NamedTuple):
    name_length: int
    type: int
    rank: int
    size: int


class _Reader:
    """Reads on from a place, and never beyond the file's end."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.size = file.seek(0, 2)
        self.place = file.seek(0)
        self._file, self._path = file, path

    def take(self, count: int, what: str) -> bytes:
        left = self.size - self.place
        data = self._file.read(count) if count <= left else b""
        if len(data) != count:
            raise ValueError(f"[convert] {self._path}: expected {count:,} bytes of {what}, got {left:,}")
        self.place += count
        return data

    def number(self, what: str) -> int:
        return int.from_bytes(self.take(8, what), "little")


def read_headers(file: BinaryIO, path: Path) -> dict[str, MarianTensor]:
    """The tensors of a file by name. Raises ValueError, naming it, for one that is none or broken."""
    reader = _Reader(file, path)
    if reader.size < 16 or (version := reader.number("a version")) != 1:
        got = f"version {version}" if reader.size >= 16 else f"{reader.size} bytes"
        raise ValueError(f"[convert] {path}: expected a model of Marian, .npz or .bin of version 1, got {got}")
    headers = _headers(reader, path)
    names = [reader.take(header.name_length, "a tensor's name") for header in headers]
    shapes = [struct.unpack(f"<{header.rank}i", reader.take(4 * header.rank, "a shape")) for header in headers]
    padding = reader.number("padding")
    place = reader.place + padding
    tensors: dict[str, MarianTensor] = {}
    for header, given, shape in zip(headers, names, shapes, strict=True):
        name = checked_name(given.removesuffix(b"\0"), path, tensors)
        kind = _type(header.type, name, path)
        check_size(name, shape, kind, header.size, path)
        if header.size > reader.size - place:
            left = max(0, reader.size - place)
            raise ValueError(f"[convert] {path}: expected {header.size:,} bytes of {name}, got {left:,}")
        tensors[name] = MarianTensor(shape, kind, header.size, partial(_read, place, header.size))
        place += header.size
    return tensors


def _headers(reader: _Reader, path: Path) -> list[_Header]:
    count = reader.number("a count of tensors")
    if count > MOST_TENSORS:
        raise ValueError(f"[convert] {path}: expected at most {MOST_TENSORS:,} tensors, got {count:,}")
    headers = [_Header(*each) for each in _HEADER.iter_unpack(reader.take(count * _HEADER.size, "headers"))]
    if sum(header.name_length + 4 * header.rank for header in headers) > reader.size:  # before any of it is read
        raise ValueError(f"[convert] {path}: expected names and shapes within {reader.size:,} bytes, got larger ones")
    return headers


def _type(number: int, name: str, path: Path) -> str:
    if number in _TYPES:
        return _TYPES[number]
    if number == _TEXT and name.startswith("special:"):
        return "text"
    got = _OTHERS.get(number, f"the type {number:#x}")
    if number & _INTGEMM and number & _ONE_CPU:
        got = f"a matrix packed for one kind of CPU (intgemm, {number:#x})"
    raise ValueError(f"[convert] {path}: expected {name} of float32 or int8 (intgemm8), got {got}")


def _read(place: int, size: int, file: BinaryIO) -> bytes:
    file.seek(place)
    return file.read(size)
