"""Marian's models as NumPy keeps arrays: a ZIP archive with a `.npy` a tensor. Nothing in it is unpickled.

The archive and its headers are read here and not by `numpy.load`, which takes memory for whatever a header claims.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from attnkit.interop.marian_tensor import MOST_TENSORS, MarianTensor, check_size, checked_name
from attnkit.printable import quoted

ZIP = b"PK\x03\x04"

_MAGIC = b"\x93NUMPY"
_MOST_HEADER = 10_000  # bytes, as in NumPy
_RATIO, _SMALL = 100, 1 << 20  # an archive that unpacks to more than 100 times its size was made to fill memory
_HEADER = re.compile(
    rb"\{\s*'descr'\s*:\s*'(?P<type>[^']*)'\s*,\s*'fortran_order'\s*:\s*(?P<fortran>True|False)\s*,"
    rb"\s*'shape'\s*:\s*\(\s*(?P<shape>(?:[0-9]{1,18}+\s*+(?:,\s*+|(?=\))))*+)\)\s*,?\s*\}\s*"
)
_TYPES = {"<f2": "float16", "<f4": "float32", "<f8": "float64"}
_TEXTS = ("|i1", "|u1", "<i1", "<u1", "|S1")
_LOCAL = struct.Struct("<26x2H")  # a member's own header: the lengths of its name and extra field, which follow


class _Npy(NamedTuple):
    type: str
    shape: tuple[int, ...]
    fortran: bool
    begin: int  # of the numbers


def read_archive(file: BinaryIO, path: Path) -> dict[str, MarianTensor]:
    """The tensors of a file by name. Raises ValueError, naming it, for one that is none or broken."""
    members = _members(file, path)
    _check_sizes(members, file.seek(0, 2), path)
    tensors: dict[str, MarianTensor] = {}
    for member in members:
        name = checked_name(member.filename.removesuffix(".npy").encode("utf-8", "surrogatepass"), path, tensors)
        tensors[name] = _tensor(file, member, name, path)
    return tensors


def _members(file: BinaryIO, path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.infolist()
    except (OSError, ValueError, RuntimeError, struct.error, zipfile.BadZipFile, NotImplementedError) as error:
        reason = quoted(" ".join(str(error).split()))
        raise ValueError(f"[convert] {path}: expected a sound .npz, got a broken archive ({reason})") from None


def _check_sizes(members: list[zipfile.ZipInfo], size: int, path: Path) -> None:
    if len(members) > MOST_TENSORS:
        raise ValueError(f"[convert] {path}: expected at most {MOST_TENSORS:,} tensors, got {len(members):,}")
    most, unpacked = max(_RATIO * size, _SMALL), sum(member.file_size for member in members)
    if unpacked > most:
        raise ValueError(f"[convert] {path}: expected tensors of at most {most:,} bytes, got {unpacked:,}")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or member.flag_bits & 1:
            raise ValueError(
                f"[convert] {path}: expected {quoted(member.filename)} stored or deflated, got it packed otherwise"
            )
        if not 0 <= member.header_offset <= size or not 0 <= member.compress_size <= size:
            raise ValueError(f"[convert] {path}: expected {quoted(member.filename)} within the file, got it elsewhere")


def _tensor(file: BinaryIO, member: zipfile.ZipInfo, name: str, path: Path) -> MarianTensor:
    npy = _header(_unpack(file, member, min(_MOST_HEADER + 12, member.file_size)), f"{path}, {quoted(name)}")
    kind = "text" if npy.type in _TEXTS and name.startswith("special:") else _TYPES.get(npy.type)
    if kind is None:
        raise ValueError(f"[convert] {path}: expected {quoted(name)} of float32, got the type {quoted(npy.type)}")
    # Marian reads a vector as a matrix of one row.
    shape = (1, *npy.shape) if len(npy.shape) == 1 and kind != "text" else npy.shape
    size = max(0, member.file_size - npy.begin)
    check_size(name, shape, kind, size, path)
    return MarianTensor(shape, kind, size, partial(_read, member, npy.begin, path), npy.fortran)


def _header(data: bytes, where: str) -> _Npy:
    """Of a .npy file: its magic, version, the header's length and the header, a dictionary in Python's notation."""
    length, begin = int.from_bytes(data[8:10], "little"), 10
    if data[6:7] in (b"\2", b"\3"):
        length, begin = int.from_bytes(data[8:12], "little"), 12
    if not data.startswith(_MAGIC) or data[6:7] not in (b"\1", b"\2", b"\3") or length > _MOST_HEADER:
        raise ValueError(f"[convert] {where}: expected an array of NumPy, got something else")
    found = _HEADER.fullmatch(data[begin : begin + length])
    if found is None:
        raise ValueError(f"[convert] {where}: expected an array of numbers, got {quoted(data[begin : begin + length])}")
    shape = tuple(int(size) for size in re.findall(rb"[0-9]+", found["shape"]))
    return _Npy(found["type"].decode("latin-1"), shape, found["fortran"] == b"True", begin + length)


def _read(member: zipfile.ZipInfo, begin: int, path: Path, file: BinaryIO) -> bytes:
    data = _unpack(file, member, member.file_size)
    if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
        raise ValueError(f"[convert] {path}: expected {quoted(member.filename)} whole and sound, got it broken")
    return data[begin:]


def _unpack(file: BinaryIO, member: zipfile.ZipInfo, count: int) -> bytes:
    """The first bytes of a member, at the most; fewer where it is broken."""
    file.seek(member.header_offset)
    own = file.read(30)
    if len(own) < 30 or not own.startswith(ZIP):
        return b""
    file.seek(sum(_LOCAL.unpack(own)), 1)
    if member.compress_type == zipfile.ZIP_STORED:
        return file.read(min(count, member.compress_size))
    packed = file.read(member.compress_size if count == member.file_size else min(count, member.compress_size))
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, max(count, 1))
    except zlib.error:
        return b""
