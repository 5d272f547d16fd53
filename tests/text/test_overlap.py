"""Pieces of one text by two tokenizers: which covers which."""

from __future__ import annotations

import numpy as np
import pytest

from attnkit.text.overlap import overlap


def test_pieces_of_a_word_share_it_by_their_characters() -> None:
    # "unhappy cats" as un|happy|cats and unha|ppy|ca|ts
    found = overlap(["▁un", "happy", "▁cats"], [0, 0, 1], ["▁unha", "ppy", "▁ca", "ts"], [0, 0, 1, 1])
    np.testing.assert_allclose(found, [[1, 0, 0, 0], [0.4, 0.6, 0, 0], [0, 0, 0.5, 0.5]], rtol=1e-6)
    back = overlap(["▁unha", "ppy", "▁ca", "ts"], [0, 0, 1, 1], ["▁un", "happy", "▁cats"], [0, 0, 1])
    np.testing.assert_allclose(back, [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], rtol=1e-6)


def test_the_same_pieces_cover_each_other() -> None:
    pieces, words = ["▁in", "ter", "nation", "al", "▁a", "▁b", "cdefg"], [0, 0, 0, 0, 1, 2, 2]
    np.testing.assert_array_equal(overlap(pieces, words, pieces, words), np.eye(7, dtype=np.float32))


def test_what_is_of_no_word_covers_nothing_and_nothing_covers_it() -> None:
    found = overlap([">>it<<", "the", "</s>"], [-1, 0, -1], ["</s>", "the"], [-1, 0])
    np.testing.assert_array_equal(found, [[0, 0], [0, 1], [0, 0]])


def test_a_piece_without_characters_stands_for_its_word() -> None:
    found = overlap(["▁", "日", "本"], [0, 0, 0], ["▁日本"], [0])
    np.testing.assert_array_equal(found, [[1], [1], [1]])
    back = overlap(["▁日本"], [0], ["▁日", "本"], [0, 0])
    np.testing.assert_array_equal(back, [[0.5, 0.5]])
    marks = overlap(["▁"], [0], ["▁a", "b"], [0, 0])
    np.testing.assert_array_equal(marks, [[0.5, 0.5]])


@pytest.mark.parametrize("name", ["<unk>", "<0xE2>"])
def test_an_unknown_piece_is_as_long_as_one_character(name: str) -> None:
    np.testing.assert_allclose(overlap(["▁abc€"], [0], ["▁abc", name], [0, 0]), [[0.75, 0.25]], rtol=1e-6)


def test_a_text_that_was_cut_has_words_that_nobody_covers() -> None:
    found = overlap(["a", "b"], [0, 1], ["a"], [0])
    np.testing.assert_array_equal(found, [[1], [0]])
    assert overlap([], [], ["a"], [0]).shape == (0, 1) and overlap(["a"], [0], [], []).shape == (1, 0)
