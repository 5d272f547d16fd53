"""One source, several targets: a tag such as `>>de<<`, the first token of the source, says which language to write.

The tag is written before the text, so that files and command lines can carry it; `TaggedTokenizer` makes one reserved
entry of the vocabulary of it, never its letters. Elsewhere in a text the same letters are ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnkit.text.tokenizer import Tokenizer

_NAME = re.compile(r"[\w-]+")
_TAG = re.compile(r"\s*>>([\w-]+)<<(?=\s|$)\s*")


def tag_of(language: str) -> str:
    """`>>de<<` of `de`."""
    return f">>{language}<<"


def add_tag(language: str, text: str) -> str:
    """The text with its tag; an empty text stays empty. Raises ValueError for what names no language."""
    if not _NAME.fullmatch(language):
        raise ValueError(f"expected a language of letters, digits, - and _, such as de or pt-BR, got {language!r}")
    return f"{tag_of(language)} {text}" if text.strip() else ""


def split_tag(text: str) -> tuple[str | None, str]:
    """(language, the rest) of a text that starts with a tag, (None, text) of any other."""
    match = _TAG.match(text)
    return (match[1], text[match.end() :]) if match else (None, text)


def languages_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The languages that texts are tagged with, in code point order."""
    return tuple(sorted({language for language in (split_tag(text)[0] for text in texts) if language is not None}))


class TaggedTokenizer:
    """A tokenizer that turns a tag at the start of a text into the tag's own id, and leaves the rest to `inner`."""

    def __init__(self, inner: Tokenizer, ids: Mapping[str, int]) -> None:
        """`ids`: those of the languages' tags in the vocabulary of `inner`."""
        self.inner = inner
        self.ids = dict(ids)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.ids)

    @property
    def vocab_size(self) -> int:
        return self.inner.vocab_size

    @property
    def unk_id(self) -> int:
        return self.inner.unk_id

    @property
    def eos_id(self) -> int:
        return self.inner.eos_id

    def encode(self, text: str) -> list[int]:
        """A tag alone, like an empty text, has no ids. Raises ValueError for the tag of another language."""
        return self.encode_by(text, self.inner.encode)

    def encode_by(self, text: str, encode: Callable[[str], list[int]]) -> list[int]:
        """The same with another encoder of what follows the tag."""
        language, rest = split_tag(text)
        if language is None:
            return encode(text)
        if language not in self.ids:
            raise ValueError(f"[tokenizer] expected a language among {', '.join(self.ids)}, got {language}")
        ids = encode(rest)
        return [self.ids[language], *ids] if ids else []

    def decode(self, ids: Sequence[int]) -> str:
        tags = set(self.ids.values())
        return self.inner.decode([number for number in ids if number not in tags])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return self.inner.pieces(ids)

    def unknown(self, text: str) -> list[str]:
        return self.inner.unknown(split_tag(text)[1])

    def save(self, directory: Path, name: str) -> None:
        self.inner.save(directory, name)
