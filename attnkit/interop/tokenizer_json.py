"""tokenizer.json of the library tokenizers, as far as it holds a BPE model of SentencePiece's: that model again.

What SentencePiece decides by scores stands there as the order of merges. Pieces in the order of their ids, each scoring
less than the one before, give the same cuts, so the text goes through SentencePiece as for any other model.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from attnkit import typed
from attnkit.interop.hf_config import read_content
from attnkit.printable import quoted, shortened

_BPE, _UNKNOWN, _CONTROL = 2, 2, 3  # of SentencePiece's ModelProto
_SPECIAL = ("<unk>", "<s>", "</s>")
_SPACE = "▁"
T = TypeVar("T")


class AddedToken(msgspec.Struct, frozen=True):
    """A token that stands beside the model's pieces."""

    id: int
    content: str
    special: bool = False


class _Tokens(msgspec.Struct, frozen=True):
    added_tokens: tuple[AddedToken, ...] = ()


class _Bpe(msgspec.Struct, frozen=True, tag_field="type", tag="BPE"):
    vocab: dict[str, int]
    merges: tuple[tuple[str, str] | str, ...]
    byte_fallback: bool | None = False
    unk_token: str | None = None


class _File(msgspec.Struct, frozen=True):
    model: _Bpe
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: dict[str, Any] | None = None


def read_added_tokens(file: Path) -> tuple[AddedToken, ...]:
    """Raises OSError or ValueError, naming the file."""
    return _read(file, _Tokens).added_tokens


def read_bpe(file: Path, reserved: Iterable[str]) -> tuple[bytes, dict[str, int]]:
    """A SentencePiece model of the file's pieces, and the id of each; `reserved` tokens are no pieces. Raises OSError,
    or ValueError naming the file, for what SentencePiece would cut otherwise."""
    content = _read(file, _File)
    vocab, special = content.model.vocab, {*reserved, *_SPECIAL}
    pieces = sorted((piece for piece in vocab if piece not in special), key=vocab.__getitem__)
    try:
        if content.model.byte_fallback:
            raise ValueError("expected a model without byte_fallback")
        _check_merges(content.model)
        _check_spaces(content.pre_tokenizer)
        charsmap = _charsmap(content.normalizer)
    except ValueError as error:
        raise ValueError(f"[convert] {file}: {error}") from None
    return _model_proto(pieces, charsmap), vocab


def _read(file: Path, kind: type[T]) -> T:
    try:
        return typed.from_json(read_content(file), kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"[convert] {file}: expected a BPE tokenizer ({shortened(str(error), 300)})") from None


def _check_merges(model: _Bpe) -> None:
    before = -1
    for merge in model.merges:
        pair = tuple(merge.split(" ")) if isinstance(merge, str) else merge
        number = model.vocab.get("".join(pair))
        if len(pair) != 2 or number is None:
            raise ValueError(f"expected merges of two into a piece of the vocabulary, got {quoted(merge)}")
        if number < before:
            raise ValueError(f"expected merges in the order of the pieces that they make, got {quoted(merge)} too late")
        before = number


def _check_spaces(pre_tokenizer: dict[str, Any] | None) -> None:
    """Spaces must become marks at the start of words, as SentencePiece has them."""
    parts = _parts(pre_tokenizer, "pretokenizers")
    kinds = [part.get("type") for part in parts if part.get("type") != "WhitespaceSplit"]
    if kinds != ["Metaspace"] or any(part.get("replacement", _SPACE) != _SPACE for part in parts):
        raise ValueError(f"expected the pre_tokenizer Metaspace, got {quoted(kinds)}")


def _charsmap(normalizer: dict[str, Any] | None) -> bytes:
    """SentencePiece's normalisation of characters; empty where there is none."""
    found = b""
    for part in _parts(normalizer, "normalizers"):
        if part.get("type") == "Precompiled":
            try:
                found = base64.b64decode(part.get("precompiled_charsmap") or "", validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise ValueError("expected a precompiled_charsmap in base64") from None
        elif part.get("type") not in ("Replace", "Strip"):  # of spaces, of which SentencePiece keeps one between words
            raise ValueError(f"expected the normalizer Precompiled, got {quoted(part.get('type'))}")
    return found


def _parts(table: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if table is None:
        return []
    parts = table.get(name) if table.get("type") == "Sequence" else [table]
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise ValueError(f"expected a list of tables under {name}")
    return parts


# ----- SentencePiece's ModelProto: the few fields that are needed, by the numbers of sentencepiece_model.proto.


def _model_proto(pieces: Sequence[str], charsmap: bytes) -> bytes:
    kinds = (_UNKNOWN, _CONTROL, _CONTROL)
    entries = [(piece, 0.0, kind) for piece, kind in zip(_SPECIAL, kinds, strict=True)]
    entries += [(piece, -float(rank), 1) for rank, piece in enumerate(pieces)]
    made = [
        _bytes(1, _bytes(1, piece.encode()) + b"\x15" + struct.pack("<f", score) + _number(3, kind))
        for piece, score, kind in entries
    ]
    trainer = _number(3, _BPE) + _number(40, 0) + _number(41, 1) + _number(42, 2) + _number(43, -1)
    normalizer = _bytes(2, charsmap) + _number(3, 1) + _number(4, 1) + _number(5, 1)
    return b"".join([*made, _bytes(2, trainer), _bytes(3, normalizer)])


def _varint(number: int) -> bytes:
    number &= 2**64 - 1
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content
