"""Stems of English words: Porter's algorithm (1980) with the additions of NLTK, as `rouge-score` counts words.

A stem is a sequence of consonants and vowels, where y is a vowel behind a consonant. Its measure m is how often a
consonant follows a vowel; each step takes the first ending that a word has, and changes it where what stands before
allows it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence

Rule = tuple[str, str, Callable[[str], bool]]
"""An ending, what replaces it, and what must hold of the letters before it."""

_FIXED = {
    **dict.fromkeys(("sky", "skies"), "sky"),
    **{"dying": "die", "lying": "lie", "tying": "tie"},
    **{"innings": "inning", "outings": "outing", "cannings": "canning"},
    **{word: word for word in ("news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed")},
}


@functools.lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a word in lower case; one of two letters is its own."""
    if word in _FIXED:
        return _FIXED[word]
    if len(word) <= 2:
        return word
    word = _past(_plural(word))
    if word.endswith("y") and len(word) > 2 and _consonants(word)[-2]:
        word = word[:-1] + "i"
    word = _second(word)
    for rules in (_THIRD, _FOURTH):
        word = _changed(word, rules)
    return _last(word)


def _consonants(word: str) -> list[bool]:
    found: list[bool] = []
    for letter in word:
        found.append(letter not in "aeiou" and (letter != "y" or not found or not found[-1]))
    return found


def _measure(word: str) -> int:
    found = _consonants(word)
    return sum(after and not before for before, after in itertools.pairwise(found))


def _some(before: str) -> bool:
    return _measure(before) > 0


def _more(before: str) -> bool:
    return _measure(before) > 1


def _always(before: str) -> bool:
    return True


def _ends_short(word: str) -> bool:
    """Whether it ends as "hop" does, and not in w, x or y; "at" does, too."""
    last = _consonants(word)[-3:]
    return (last == [True, False, True] and word[-1] not in "wxy") or (len(word) == 2 and last == [False, True])


def _is_doubled(word: str) -> bool:
    return len(word) > 1 and word[-1] == word[-2] and _consonants(word)[-1]


def _changed(word: str, rules: Sequence[Rule]) -> str:
    for ending, new, allowed in rules:
        if word.endswith(ending):
            before = word[: len(word) - len(ending)]
            return before + new if allowed(before) else word
    return word


def _plural(word: str) -> str:
    if word.endswith("ies") and len(word) == 4:
        return word[:-1]
    return _changed(word, (("sses", "ss", _always), ("ies", "i", _always), ("ss", "ss", _always), ("s", "", _always)))


def _past(word: str) -> str:
    """Without -ed and -ing, and as it is written without them."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _some(word[:-3]) else word
    for ending in ("ed", "ing"):
        before = word.removesuffix(ending)
        if before != word and not all(_consonants(before)):
            break
    else:
        return word
    if before.endswith(("at", "bl", "iz")):
        return before + "e"
    if _is_doubled(before):
        return before if before[-1] in "lsz" else before[:-1]
    return before + "e" if _measure(before) == 1 and _ends_short(before) else before


def _second(word: str) -> str:
    if word.endswith("alli") and _some(word[:-4]):
        return _second(word[:-2])
    return _changed(word, _SECOND)


def _last(word: str) -> str:
    """Without a silent e, and one l of two."""
    if word.endswith("e"):
        before = word[:-1]
        if _more(before) or (_some(before) and not _ends_short(before)):
            word = before
    return word[:-1] if word.endswith("ll") and _more(word[:-1]) else word


def _rules(allowed: Callable[[str], bool], endings: str) -> list[Rule]:
    """Of "ending:new" by spaces."""
    return [(ending, new, allowed) for ending, _, new in (each.partition(":") for each in endings.split())]


_SECOND = [
    *_rules(_some, "ational:ate tional:tion enci:ence anci:ance izer:ize bli:ble alli:al entli:ent eli:e ousli:ous"),
    *_rules(_some, "ization:ize ation:ate ator:ate alism:al iveness:ive fulness:ful ousness:ous aliti:al iviti:ive"),
    *_rules(_some, "biliti:ble fulli:ful"),
    ("logi", "log", lambda before: _some(before + "l")),
]
_THIRD = _rules(_some, "icate:ic ative: alize:al iciti:ic ical:ic ful: ness:")
_FOURTH = [
    *_rules(_more, "al: ance: ence: er: ic: able: ible: ant: ement: ment: ent:"),
    ("ion", "", lambda before: _more(before) and before[-1] in "st"),
    *_rules(_more, "ou: ism: ate: iti: ous: ive: ize:"),
]
