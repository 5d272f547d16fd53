"""Files as they are published: plain, or packed by gzip or zstd, which their first bytes say.

What is packed may have been packed to fill memory: it is unpacked in pieces, and refused once it is beyond a bound.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from attnkit.reading import open_regular

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
POINTER = b"version https://git-lfs."

MOST = 1 << 32
"""Bytes that a file may unpack to: 4 GiB."""

_SMALL, _RATIO = 1 << 26, 100  # what is packed to less than a hundredth, and is not small, repeats itself


class _Packing(NamedTuple):
    """new: makes what unpacks one member: decompress(bytes), eof, unused_data. piece: bytes that it is given at a time;
    at the format's highest ratio, 1:1,032 and 1:43,690, a piece unpacks to 17 and 11 MB."""

    name: str
    magic: bytes
    new: Callable[[], Any]
    error: type[Exception]
    piece: int


def read_published(path: Path, most: int = MOST) -> bytes:
    """The content of a file, unpacked.

    Raises OSError, and ValueError, naming it, for what is no regular file, is broken, needs a package that is not
    installed, is a git-lfs pointer, or has more than `most` bytes (unpacked: also more than 100 times its own size,
    where that is more than 64 MiB).
    """
    with open_regular(path) as file:
        first = file.read(len(POINTER))
        check_pointer(first, path)
        file.seek(0)
        if is_packed(first):
            size = file.seek(0, 2)
            file.seek(0)
            return b"".join(_unpacked(file, path, min(most, max(_SMALL, _RATIO * size))))
        content = file.read(most + 1)
    if len(content) > most:
        raise _too_large(path, most)
    return content


def is_packed(first: bytes) -> bool:
    """Whether a file that begins with these bytes is packed."""
    return first.startswith((GZIP, ZSTD))


def check_pointer(first: bytes, path: Path) -> None:
    """Raises ValueError for what git leaves of a file where git-lfs is not installed."""
    if first.startswith(POINTER):
        raise ValueError(f"[convert] {path}: a git-lfs pointer to it; `git lfs pull` in its folder fetches the file")


def find_published(folder: Path, *patterns: str) -> list[Path]:
    """The files of a folder whose names match a pattern, as they are or with .gz or .zst behind. Sorted; of a file that
    is there plain and packed the plain one."""
    found = {
        path for pattern in patterns for end in ("", ".gz", ".zst") for path in folder.glob(pattern + end)
        if path.is_file()
    }  # fmt: skip
    packed = {path for path in found if path.suffix in (".gz", ".zst")}
    return sorted(path for path in found if path not in packed or path.with_suffix("") not in found)


def _unpacked(file: BinaryIO, path: Path, most: int) -> Iterator[bytes]:
    """The content in pieces. A file may have several members, one behind the other."""
    packing = _packing(file.read(4), path)
    file.seek(0)
    size, member, rest = 0, packing.new(), b""
    while rest := rest or file.read(packing.piece):
        if member.eof:
            if not rest.startswith(packing.magic[: len(rest)]):
                raise ValueError(f"[convert] {path}: expected {packing.name} only, got something else behind it")
            member = packing.new()
        try:
            piece = member.decompress(rest)
        except packing.error as error:
            raise ValueError(f"[convert] {path}: expected sound {packing.name} ({error})") from None
        rest = member.unused_data if member.eof else b""
        size += len(piece)
        if size > most:
            raise _too_large(path, most)
        yield piece
    if not member.eof:
        raise ValueError(f"[convert] {path}: expected a whole {packing.name} file, got the beginning of one")


def _too_large(path: Path, most: int) -> ValueError:
    return ValueError(f"[convert] {path}: expected a file of at most {most:,} bytes, got a larger one")


def _packing(first: bytes, path: Path) -> _Packing:
    if first.startswith(GZIP):
        return _Packing("gzip", GZIP, lambda: zlib.decompressobj(31), zlib.error, 1 << 14)
    found = next(filter(None, map(_imported, ("compression.zstd", "backports.zstd", "zstandard"))), None)
    if found is None:
        raise ValueError(
            f"[convert] {path}: expected a package that unpacks zstd, got none; `pip install zstandard`, or unpack the "
            "file with `unzstd`"
        )

    def new() -> Any:
        member = found.ZstdDecompressor()
        return member.decompressobj() if hasattr(member, "decompressobj") else member  # as zstandard has it

    return _Packing("zstd", ZSTD, new, found.ZstdError, 256)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
