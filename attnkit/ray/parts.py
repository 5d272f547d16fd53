"""A job is cut into parts: so many lines of a file, or so many images, whose answers are one file of the result.

The names of the parts of an input sort as they follow each other: `cat OUT/news.txt/part-*` is the whole.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec
import numpy as np

from attnkit.data.arrivals import PAUSE
from attnkit.data.lines import MAX_UNPACKED, arriving_from, records_of, string_field
from attnkit.ray import storage

_PIECE = 1 << 22  # bytes
_DIGITS = 5


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """source: the file whose lines these are. first: the number of the first, from 1. offset: the byte that it begins
    at. count: how many there are. target: the file for the answers. digest: of what the lines are. items: of a list of
    images instead, these."""

    source: str
    target: str
    first: int
    count: int
    digest: str
    offset: int = 0
    items: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.source}, {self.first:,} to {self.first + self.count - 1:,}"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An input as it was when it was cut; count: of its lines."""

    name: str
    count: int
    parts: tuple[Part, ...]


def cut_file(file: storage.Found, folder: str, suffix: str, size: int) -> Source:
    """A text file in parts of `size` lines, for answers in `folder`. It is read once, and never held in memory. An
    empty file has one part, so that it has an answer too. Raises OSError, and ValueError for a packed file of too
    much."""
    packed = file.path.endswith(".gz")
    try:
        with storage.opened(file.path) as stream:
            begins, count, digests = _scanned(stream, size, MAX_UNPACKED if packed else None)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"[ray] {file.path}: expected a whole gzip file: {error}") from None
    targets = _targets(file.name, folder, suffix, len(begins))
    parts = tuple(
        Part(
            source=file.path,
            target=target,
            first=number * size + 1,
            count=min(size, count - number * size),
            digest=digest,
            offset=0 if packed else begin,
        )
        for number, (begin, digest, target) in enumerate(zip(begins, digests, targets, strict=True))
    )
    return Source(name=file.name, count=count, parts=parts)


def cut_list(name: str, items: list[str], folder: str, suffix: str, size: int) -> Source:
    """A list in parts of `size` of them."""
    begins = range(0, len(items), size)
    parts = tuple(
        Part(
            source=name,
            target=target,
            first=begin + 1,
            count=len(held),
            digest=_digest("\0".join(held).encode("utf-8", "surrogateescape")).hexdigest(),
            items=tuple(held),
        )
        for begin, target in zip(begins, _targets(name, folder, suffix, len(begins)), strict=True)
        for held in [items[begin : begin + size]]
    )
    return Source(name=name, count=len(items), parts=parts)


def texts_of(part: Part, key: str | None = None) -> Iterator[str]:
    """The lines of a part, or the texts under a key of its JSON lines. Raises as `arriving_lines` and
    `arriving_records` do, with the numbers that lines have in the file."""
    with storage.opened(part.source, part.offset) as stream:
        if part.source.endswith(".gz"):
            for _ in range(part.first - 1):
                stream.readline()
        arriving = arriving_from(stream, part.source, part.first)
        lines = itertools.islice((line for line in arriving if line is not PAUSE), part.count)
        yield from lines if key is None else _under(lines, key, part)


def _under(lines: Iterable[str], key: str, part: Part) -> Iterator[str]:
    for record in records_of(lines, part.source, part.first):
        if record is not PAUSE:
            yield string_field(record[1], key, record[0])


def _scanned(stream: BinaryIO, size: int, most: int | None) -> tuple[list[int], int, list[str]]:
    """The bytes at which every `size`-th line begins, the number of lines, and a digest of each `size` lines."""
    begins, digests, count, at, last = [0], [_digest()], 0, 0, b"\n"
    while piece := stream.read(_PIECE):
        if most is not None and at > most:
            raise ValueError(f"[ray] expected at most {most:,} bytes in a packed file, got more; unpack it first")
        ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == ord("\n"))
        cuts = (1 + ends[size - 1 - count % size :: size]).tolist()
        begins += [at + cut for cut in cuts]
        for number, (begin, end) in enumerate(itertools.pairwise([0, *cuts, len(piece)])):
            if number:
                digests.append(_digest())
            digests[-1].update(memoryview(piece)[begin:end])
        count, at, last = count + len(ends), at + len(piece), piece[-1:]
    if last != b"\n":
        count += 1  # a line without an end
    elif len(begins) > 1 and begins[-1] == at:
        begins.pop()  # the file ends where a part would begin
    return begins, count, [digest.hexdigest() for digest in digests[: len(begins)]]


def _digest(data: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(data, digest_size=8)


def _targets(name: str, folder: str, suffix: str, count: int) -> list[str]:
    digits = max(_DIGITS, len(str(count)))
    return [
        storage.joined(folder, name, f"part-{number:0{digits}}-of-{count:0{digits}}{suffix}") for number in range(count)
    ]
