"""Marian's lexical shortlists, as shortlists of ours: `lex.s2t.bin`, and `lex.s2t`, the text that it is made of.

The binary file has, in little-endian numbers: magic, checksum, first, best, the count of offsets, the count of ids,
uint64 each; the offsets, uint64; the ids, uint32. Source word w brings the target words
ids[offsets[w] : offsets[w + 1]], at most `best` of them; the first `first` of the target vocabulary, which are the most
frequent, are always there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from attnkit.decoding.shortlist import Shortlist
from attnkit.interop.compressed import read_published
from attnkit.printable import quoted

MAGIC = 0xF11A48D5013417F5

_HEADER = struct.Struct("<6Q")
_MOST = 1 << 28  # bytes: a hundred target words for each of 500,000 source words
_MOST_TEXT = 1 << 30
_WORD = (1 << 64) - 1

Numbers = npt.NDArray[np.int64]


def read_lexicon(path: Path, source_size: int, target_size: int, shared: bool = True) -> Shortlist:
    """A binary shortlist. With a `shared` vocabulary, which must be of one size, each source word brings itself, too.

    Raises OSError, and ValueError, naming the file, for one that is none, broken, or made for a larger vocabulary.
    """
    content = read_published(path, _MOST)
    if len(content) < _HEADER.size or (header := _HEADER.unpack_from(content))[0] != MAGIC:
        raise ValueError(f"[convert] {path}: expected a binary shortlist of Marian, got something else")
    _, checksum, first, _, offset_count, id_count = header
    if _HEADER.size + 8 * offset_count + 4 * id_count != len(content):
        raise ValueError(
            f"[convert] {path}: expected {offset_count:,} offsets and {id_count:,} words, got {len(content):,} bytes"
        )
    if checksum != checksum_of(content):
        raise ValueError(f"[convert] {path}: expected the checksum {checksum:#x}, got another: the file is broken")
    offsets = np.frombuffer(content, "<u8", offset_count, _HEADER.size)
    ids = np.frombuffer(content, "<u4", id_count, _HEADER.size + 8 * offset_count).astype(np.int64)
    words = len(offsets) - 1
    if words > source_size or (len(ids) and ids.max() >= target_size):
        raise ValueError(
            f"[convert] {path}: expected a shortlist for {source_size:,} source and {target_size:,} target words, got "
            f"one for {words:,} and {int(ids.max(initial=-1)) + 1:,}"
        )
    if words < 0 or offsets[0] != 0 or offsets[-1] != id_count or (offsets[1:] < offsets[:-1]).any():
        raise ValueError(f"[convert] {path}: expected offsets that rise to {id_count:,}, got others")
    sources = np.repeat(np.arange(words), np.diff(offsets).astype(np.int64))
    return _shortlist(sources, ids, first, source_size, target_size, shared)


def read_text_lexicon(
    path: Path,
    source_id: Callable[[str], int],
    target_id: Callable[[str], int],
    sizes: tuple[int, int],
    first: int = 100,
    best: int = 100,
    shared: bool = True,
) -> Shortlist:
    """A shortlist of lines `target source probability`: of each source word the `best` most probable target words.

    source_id, target_id: the id of a word in the vocabularies, of `sizes`; that of the unknown word for a word that is
    not there. Lines with NULL, the word that aligns with nothing, are left out. Raises as `read_lexicon`.
    """
    source_size, target_size = sizes
    found: dict[int, dict[int, float]] = {}
    for target, source, probability in _lines(path):
        if "NULL" not in (target, source):
            found.setdefault(source_id(source), {})[target_id(target)] = probability
    pairs = [
        (source, target)
        for source, targets in found.items()
        for target, probability in sorted(targets.items(), key=lambda each: (-each[1], -each[0]))[:best]
        if probability > 0.0
    ]
    sources, targets = np.array(pairs, np.int64).reshape(-1, 2).T
    for ids, size in ((sources, source_size), (targets, target_size)):
        if len(ids) and not 0 <= ids.min() <= ids.max() < size:
            raise ValueError(f"[convert] {path}: expected ids below {size:,}, got {int(ids.max()):,}")
    return _shortlist(sources, targets, first, source_size, target_size, shared)


def checksum_of(content: bytes) -> int:
    """Of what stands behind magic and checksum, in whole words of 64 bits: Boost's hash_combine over them, from 0."""
    hashed = 0
    for word in np.frombuffer(content, "<u8", (len(content) - 16) // 8, 16).tolist():
        hashed ^= (word + 0x9E3779B9 + (hashed << 6) + (hashed >> 2)) & _WORD
    return hashed


def _shortlist(
    sources: Numbers, ids: Numbers, first: int, source_size: int, target_size: int, shared: bool
) -> Shortlist:
    """Of pairs of source and target words: each list rising, and nothing twice."""
    keys = sources * target_size + ids
    if shared and source_size == target_size:
        keys = np.concatenate([keys, np.arange(source_size) * (target_size + 1)])
    keys = np.sort(keys, kind="stable")  # which is fast where most are in order
    keys = keys[np.diff(keys, prepend=-1) > 0]
    offsets = np.searchsorted(keys, np.arange(source_size + 1) * target_size).astype(np.int32)
    always = np.arange(min(first, target_size), dtype=np.int32)
    return Shortlist(offsets, (keys % target_size).astype(np.int32), always, target_size)


def _lines(path: Path) -> Iterator[tuple[str, str, float]]:
    content = read_published(path, _MOST_TEXT)
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            target, source, probability = line.decode("utf-8").split()
            yield target, source, float(probability)
        except ValueError:
            raise ValueError(
                f"[convert] {path}, line {number}: expected `target source probability`, got {quoted(line)}"
            ) from None
