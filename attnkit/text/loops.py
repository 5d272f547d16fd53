"""Word loops: texts that say the same few tokens again and again to the end, as models do that have lost their way."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST, TIMES = 8, 4


def ends_in_loop(tokens: Sequence[str], longest: int = LONGEST, times: int = TIMES) -> bool:
    """Whether an n-gram of at most `longest` tokens, with a letter in it, stands `times` times in a row at the end, but
    for signs behind it, such as a full stop."""
    end = len(tokens)
    while end and not _has_letter(tokens[end - 1 : end]):
        end -= 1
    return any(_run(tokens, n, end) >= (times - 1) * n for n in range(1, min(longest, end // times) + 1))


def has_loop(tokens: Sequence[str], longest: int = LONGEST, times: int = TIMES) -> bool:
    """The same anywhere in a text."""
    return any(
        ends_in_loop(tokens[max(0, end - longest * times) : end], longest, times) for end in range(1, len(tokens) + 1)
    )


def _run(tokens: Sequence[str], n: int, end: int) -> int:
    """How many tokens before `end` are as the one n places before; 0 where the n-gram has no letter."""
    start = end - 1
    while start >= n and tokens[start] == tokens[start - n]:
        start -= 1
    return end - 1 - start if _has_letter(tokens[end - n : end]) else 0


def _has_letter(tokens: Sequence[str]) -> bool:
    return any(character.isalpha() for token in tokens for character in token)
