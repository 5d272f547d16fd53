"""One source, several targets: a tag such as `>>de<<`, the first token of the source, says which language to write.

The tag is written before the text, so that files and command lines can carry it; `TaggedTokenizer` makes one reserved
entry of the vocabulary of it, never its letters. Elsewhere in a text the same letters are ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attnkit.printable import quoted

_NAME = re.compile(r"[\w-]+")
_TAG = re.compile(r"\s*>>([\w-]+)<<(?=\s|$)\s*")


def tag_of(language: str) -> str:
    """`>>de<<` of `de`."""
    return f">>{language}<<"


def add_tag(language: str, text: str) -> str:
    """The text with its tag; an empty text stays empty. Raises ValueError for what names no language."""
    if not _NAME.fullmatch(language):
        raise ValueError(
            f"expected a language of letters, digits, - and _, such as de or pt-BR, got {quoted(language)}"
        )
    return f"{tag_of(language)} {text}" if text.strip() else ""


def split_tag(text: str) -> tuple[str | None, str]:
    """(language, the rest) of a text that starts with a tag, (None, text) of any other."""
    match = _TAG.match(text)
    return (match[1], text[match.end() :]) if match else (None, text)


def languages_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The languages that texts are tagged with, in code point order."""
    tagged = (text for text in texts if ">>" in text)  # few of a vocabulary's pieces are
    return tuple(sorted({language for language in (split_tag(text)[0] for text in tagged) if language is not None}))
