"""Where words, numbers and punctuation marks begin and end, in any script."""

from __future__ import annotations

import functools
import re
import unicodedata

_MARK, _JOINER, _NON_JOINER = "\u0301", "\u200d", "\u200c"


class _Shadow(dict[int, int]):
    """For `str.translate`: one mark stands for all that combine with what is before them: `re` has no class of them."""

    def __missing__(self, code: int) -> int:
        combines = unicodedata.category(chr(code)).startswith("M") or chr(code) == _NON_JOINER
        self[code] = ord(_MARK) if combines else code
        return self[code]


_shadow = _Shadow()
_PART = rf"[\w{_MARK}{_JOINER}]+"
# An apostrophe inside a word belongs to it, and a point or comma between two digits to their number.
_WORD = rf"{_PART}(?:['’]{_PART}|(?<=\d)[.,٫٬](?=\d){_PART})*"
# A sign has its marks with it, and signs that are joined, as families are, are one.
_SIGN = rf"[^\w\s]{_MARK}*(?:{_JOINER}[^\w\s]{_MARK}*)*{_JOINER}*"


@functools.cache
def _word_or_sign() -> re.Pattern[str]:
    return re.compile(f"{_WORD}|{_SIGN}")


def words_and_signs(text: str) -> list[str]:
    """All of a text but its white space: words, numbers, and each other sign by itself."""
    if text.isascii():
        return _word_or_sign().findall(text)
    return [text[match.start() : match.end()] for match in _word_or_sign().finditer(text.translate(_shadow))]


def words(text: str) -> list[str]:
    """The words and numbers alone."""
    return [part for part in words_and_signs(text) if any(map(_is_of_word, part))]


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"
