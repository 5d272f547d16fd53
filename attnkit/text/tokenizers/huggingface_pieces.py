"""How the kinds of tokenizer.json write where a word begins, in SentencePiece's way: a block before its first piece.

WordPiece has "##" before a piece that goes on with a word, byte-level BPE has bytes as letters and a space among them,
the BPE of CLIP has "</w>" behind a word's last piece. All that reads pieces (drawings, words, guesses) knows one way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

from attnkit.text.tokenizers.vocabulary import WORD_START

if TYPE_CHECKING:
    import tokenizers

Spell: TypeAlias = Callable[[Sequence[str]], list[str]]
"""Pieces as a vocabulary has them → the same with `WORD_START` where a word begins."""


def speller(inner: tokenizers.Tokenizer, special: Collection[str]) -> Spell | None:
    """What a tokenizer's pieces are spelt by; None where they have no marks. special: tokens that stay as they are."""
    model, decoder = inner.model, inner.decoder
    suffix = getattr(model, "end_of_word_suffix", None)
    prefix = getattr(model, "continuing_subword_prefix", None)
    by_bytes = decoder is not None and decoder.decode(["\u0120"]) == " "  # how byte-level BPE writes a space
    if suffix:
        return functools.partial(_by_ends, special=special, suffix=suffix, by_bytes=by_bytes)
    if by_bytes:
        return lambda pieces: [piece if piece in special else _of_bytes(piece) for piece in pieces]
    if prefix:
        return functools.partial(_by_prefix, special=special, prefix=prefix)
    if decoder is not None and decoder.decode(["a", f"{WORD_START}b"]) == "a b":
        return list
    return None


def _by_prefix(pieces: Sequence[str], special: Collection[str], prefix: str) -> list[str]:
    def spelt(piece: str) -> str:
        if not piece or piece in special:
            return piece
        # A piece that is the prefix and nothing else is a word of these signs.
        return piece.removeprefix(prefix) if piece.startswith(prefix) and piece != prefix else WORD_START + piece

    return [spelt(piece) for piece in pieces]


def _by_ends(pieces: Sequence[str], special: Collection[str], suffix: str, by_bytes: bool) -> list[str]:
    spelt, begins = [], True
    for piece in pieces:
        if piece in special:
            spelt.append(piece)
            begins = True
            continue
        text = piece.removesuffix(suffix)
        spelt.append((WORD_START if begins else "") + (_of_bytes(text) if by_bytes else text))
        begins = piece.endswith(suffix)
    return spelt


def _of_bytes(piece: str) -> str:
    """A piece of byte-level BPE as text; bytes that are part of a letter as SentencePiece writes them, <0xE2>."""
    table = _bytes_of_letters()
    try:
        content = bytes(table[letter] for letter in piece)
    except KeyError:
        return piece  # no letters of bytes, so that it was added
    return content.decode(errors="surrogateescape").translate(_SPELT)


_SPELT = str.maketrans({" ": WORD_START} | {chr(0xDC00 + byte): f"<0x{byte:02X}>" for byte in range(0x80, 0x100)})


@functools.cache
def _bytes_of_letters() -> dict[str, int]:
    """Which byte each letter stands for (GPT-2: Radford et al., 2019): printable ones for themselves, the others for
    letters from U+0100 on, in order."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in own]
    return {chr(byte): byte for byte in own} | {chr(0x100 + place): byte for place, byte in enumerate(others)}
