"""Batches of inputs of about one length."""

from __future__ import annotations

import pytest

from attnkit.tasks.shared.by_length import batches_by_length


@pytest.mark.parametrize(
    ("words", "limit", "expected"),
    [
        ("ccc a bb BB", 4, [["ccc"], ["bb", "BB"], ["a"]]),  # the longest first, equals in their order
        ("ccc a bb BB", 8, [["ccc", "bb", "BB", "a"]]),
        ("a b c", 2, [["a", "b"], ["c"]]),
        ("dddd a", 1, [["dddd"], ["a"]]),  # one that is longer than a batch is a batch of its own
    ],
)
def test_batches_go_from_long_to_short_up_to_their_limit(words: str, limit: int, expected: list[list[str]]) -> None:
    assert list(batches_by_length(words.split(), len, limit)) == expected


def test_what_has_no_length_is_in_no_batch() -> None:
    assert list(batches_by_length(["", "a", ""], len, 1)) == [["a"]]
    assert list(batches_by_length(["", ""], len, 1)) == []
