"""Checkpoints as `torch.save` writes them since PyTorch 1.6: a ZIP archive whose members lie in it as they are.

NAME/data.pkl     the pickle
NAME/data/KEY     the numbers of a storage
NAME/byteorder    "little", since PyTorch 2.0
NAME/version

The directory at the archive's end is read here and not by `zipfile`, which believes what a directory says. PyTorch ends
its archives in the form for large files (ZIP64), whatever their size.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, NamedTuple

from attnkit.interop.pytorch_pickle import MOST_BYTES, Machine
from attnkit.interop.pytorch_tensor import MOST_STORAGES, Rebuilder
from attnkit.printable import quoted

ZIP = b"PK\x03\x04"

_MOST_MEMBERS = MOST_STORAGES + 100
_MOST_DIRECTORY = 1 << 25  # bytes
_SMALL, _LARGE = 0xFFFF, 0xFFFFFFFF  # where a field says so, the number stands in the form for large files
_NEWEST = 10  # version of the format

_END = struct.Struct("<4s4H2IH")  # disks, members here and in all, size and place of the directory, length of a comment
_LOCATOR = struct.Struct("<4sIQI")  # of the end of a large archive: disk, place, disks
_LARGE_END = struct.Struct("<4sQ2H2I4Q")
_MEMBER = struct.Struct("<4s6H3I5H2I")  # in the directory
_LOCAL = struct.Struct("<4s5H3I2H")  # in front of a member


class Member(NamedTuple):
    """Where the bytes of a member lie in the file."""

    begin: int
    size: int


def read_zip(file: BinaryIO) -> tuple[Any, dict[str, int]]:
    """What was saved, and where the storages begin, by key. What is wrong with the archive is a ValueError."""
    members = _members(file, file.seek(0, 2))
    name = _archive_name(members)
    _check_layout(file, members, name)
    rebuilder = Rebuilder()
    saved = Machine(_content(file, members, f"{name}/data.pkl"), rebuilder.known, rebuilder.storage).load()
    places = {}
    for key, storage in rebuilder.storages.items():
        member = members.get(f"{name}/data/{key}")
        if member is None:
            raise ValueError(f"expected the storage {quoted(f'data/{key}')}, got none")
        if member.size != storage.size:
            raise ValueError(f"expected {storage.size:,} bytes of {quoted(f'data/{key}')}, got {member.size:,}")
        places[key] = member.begin
    return saved, places


def _archive_name(members: dict[str, Member]) -> str:
    """The folder that all of it lies in."""
    found = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(found) != 1:
        raise ValueError(f"expected an archive of torch.save with one data.pkl, got {len(found)}")
    name = found[0].removesuffix("/data.pkl")
    if f"{name}/constants.pkl" in members or any(member.startswith(f"{name}/code/") for member in members):
        raise ValueError("expected a checkpoint of tensors alone, got a TorchScript archive, which is a program")
    return name


def _check_layout(file: BinaryIO, members: dict[str, Member], name: str) -> None:
    if f"{name}/byteorder" in members and (order := _content(file, members, f"{name}/byteorder")) != b"little":
        raise ValueError(f"expected little-endian numbers, got the byteorder {quoted(order)}")
    if f"{name}/version" in members:
        version = _content(file, members, f"{name}/version").strip()
        if not (version.isdigit() and len(version) < 3 and 1 <= int(version) <= _NEWEST):
            raise ValueError(f"expected the format's version {_NEWEST} at the most, got {quoted(version)}")


def _content(file: BinaryIO, members: dict[str, Member], name: str) -> bytes:
    begin, size = members[name]
    if size > MOST_BYTES:
        raise ValueError(f"expected {quoted(name)} of at most {MOST_BYTES:,} bytes, got {size:,}")
    return _read(file, begin, size)


def _read(file: BinaryIO, begin: int, size: int) -> bytes:
    file.seek(begin)
    data = file.read(size)
    if len(data) != size:
        raise ValueError("expected a file that stays as it is, got one that became shorter")
    return data


# ----- The directory


def _members(file: BinaryIO, file_size: int) -> dict[str, Member]:
    """The members by name, in the order of the file, in which no two share a byte."""
    count, begin, end = _directory(file, file_size)
    directory = _read(file, begin, end - begin)
    found: list[tuple[int, str, int]] = []  # where its own header is, the name, and the size
    place = 0
    for _ in range(count):
        if place + _MEMBER.size > len(directory):
            raise ValueError(f"expected {count:,} members in the archive's directory, got fewer")
        header, name, size, place = _entry(directory, place)
        found.append((header, name, size))
    if place != len(directory):
        raise ValueError(f"expected {count:,} members in the archive's directory, got more")
    members: dict[str, Member] = {}
    free = 0  # behind the member before
    for header, name, size in sorted(found):
        if name in members:
            raise ValueError(f"expected each member of the archive once, got {quoted(name)} twice")
        if header < free:
            raise ValueError(f"expected members one behind the other, got {quoted(name)} over another")
        members[name] = Member(_begin(file, header, name, begin), size)
        free = members[name].begin + size
        if free > begin:
            raise ValueError(f"expected {quoted(name)} before the archive's directory, got it beyond")
    return members


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """The count of members; where the directory begins and ends."""
    if size < _END.size:
        raise ValueError("expected a whole archive, got the beginning of one")
    end = size - _END.size
    magic, disk, first, here, count, length, begin, comment = _END.unpack(_read(file, end, _END.size))
    if magic != b"PK\5\6" or comment:
        raise ValueError("expected an archive's directory at the end of the file, got none; is the file whole?")
    if disk or first or here != count:
        raise ValueError("expected an archive in one file, got a part of one")
    locator = _read(file, end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
    if locator.startswith(b"PK\6\7"):
        end, *large = _large_end(file, locator, end - _LOCATOR.size)
        small = (count, length, begin)
        for value, whole, none in zip(small, large, (_SMALL, _LARGE, _LARGE), strict=True):
            if value not in (whole, none):
                raise ValueError("expected one directory of an archive, got two that differ")
        count, length, begin = large
    if count > _MOST_MEMBERS or length > _MOST_DIRECTORY or begin + length != end:
        raise ValueError("expected an archive's directory at the end of the file, got it elsewhere or too large")
    return count, begin, end


def _large_end(file: BinaryIO, locator: bytes, before: int) -> tuple[int, int, int, int]:
    """Where the end of a large archive begins; the count of members, the directory's size and its place."""
    _, disk, place, disks = _LOCATOR.unpack(locator)
    if disk or disks > 1 or place + _LARGE_END.size != before:
        raise ValueError("expected an archive in one file, got a part of one")
    magic, size, _, _, disk, first, here, count, length, begin = _LARGE_END.unpack(_read(file, place, _LARGE_END.size))
    if magic != b"PK\6\6" or size != _LARGE_END.size - 12 or disk or first or here != count:
        raise ValueError("expected an archive in one file, got a part of one")
    return place, count, length, begin


def _entry(directory: bytes, place: int) -> tuple[int, str, int, int]:
    """Of a member: where its own header is, its name and size, and where the next entry of the directory is."""
    header = _MEMBER.unpack_from(directory, place)
    name_length, extra_length, comment_length = header[10:13]
    begin = place + _MEMBER.size
    end = begin + name_length + extra_length + comment_length
    if header[0] != b"PK\1\2" or end > len(directory):
        raise ValueError("expected a sound directory of the archive, got a broken one")
    data = directory[begin : begin + name_length]
    try:
        name = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"expected names in UTF-8, got {quoted(data)}") from None
    extra = directory[begin + name_length : begin + name_length + extra_length]
    _check_stored(header, name)
    size, packed, at = _large_fields((header[9], header[8], header[16]), extra)
    if size != packed:
        raise ValueError(f"expected an archive whose members lie in it as they are, got {quoted(name)} packed")
    return at, name, size, end


def _large_fields(fields: tuple[int, int, int], extra: bytes) -> list[int]:
    """Size, packed size and place of a member: those that are too large for the entry stand in the extra field."""
    values = list(fields)
    while _LARGE in values and len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        data, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == 1:
            for index in (index for index, value in enumerate(fields) if value == _LARGE):
                if len(data) < 8:
                    break
                values[index], data = int.from_bytes(data[:8], "little"), data[8:]
            break
    return values


def _check_stored(header: tuple[Any, ...], name: str) -> None:
    flags, method = header[3], header[4]
    if flags & 0x2041:
        raise ValueError(f"expected an archive that is open to all, got {quoted(name)} encrypted")
    if method:
        raise ValueError(f"expected an archive whose members lie in it as they are, got {quoted(name)} packed")
    if header[13]:
        raise ValueError("expected an archive in one file, got a part of one")


def _begin(file: BinaryIO, place: int, name: str, end: int) -> int:
    """Where a member's bytes begin: behind a header of its own, which must agree."""
    if place + _LOCAL.size > end:
        raise ValueError(f"expected {quoted(name)} before the archive's directory, got it beyond")
    header = _LOCAL.unpack(_read(file, place, _LOCAL.size))
    own, extra = header[9:11]
    begin: int = place + _LOCAL.size + own + extra
    if header[0] != ZIP or header[3] or begin > end:
        raise ValueError(f"expected {quoted(name)} where the archive's directory has it, got something else")
    if _read(file, place + _LOCAL.size, own) != name.encode():
        raise ValueError(f"expected {quoted(name)} where the archive's directory has it, got another name")
    return begin
