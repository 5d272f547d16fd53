"""Text of others, as people may see it: a label, a name or a token may hold anything, and so steer a terminal.

What is data, a translation in a file or a pipe, goes there as it is.
"""

from __future__ import annotations

import unicodedata

HIDDEN = "\ufffd"

# Marks that turn the writing direction; in a word they would turn the text around it as well.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(text: str, keep: str = "") -> str:
    """The text with `HIDDEN` for each control character, line separator, mark that turns the writing direction and lone
    surrogate, but for those in `keep`."""
    if text.isprintable():  # most are, and this is fast
        return text
    return "".join(HIDDEN if character not in keep and _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    return character in _DIRECTION_MARKS or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def quoted(value: object, longest: int = 100) -> str:
    """`repr` of a value for a message, its middle left out where it is longer: who gave it knows it, and a message of
    100,000 characters hides what it says."""
    if isinstance(value, str | bytes) and len(value) > longest:
        whole, value = len(value), value[:longest]
        return f"{shortened(repr(value), longest)} ({whole:,} {'characters' if isinstance(value, str) else 'bytes'})"
    return shortened(repr(value), longest)


def shortened(text: str, longest: int) -> str:
    """The text, or its first part and its last with dots between them, of `longest` characters in all."""
    if len(text) <= longest:
        return text
    end = (longest - 5) // 4
    return f"{text[: longest - 5 - end]} ... {text[-end:]}"
