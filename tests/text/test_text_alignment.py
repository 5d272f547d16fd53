"""Alignment error rate and hard alignments."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from attnkit import Translator
from attnkit.tasks.translate import alignment
from attnkit.tasks.translate.alignment import alignment_error
from attnkit.text.alignment import AlignedPair, alignment_error_rate, hard_alignment, parse_pharaoh


def test_hard_alignment_takes_the_most_attended_source_token() -> None:
    weights = np.array([[0.1, 0.9, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    assert hard_alignment(weights) == [(0, 1), (1, 0), (2, 2)]


def test_every_source_token_gets_a_link() -> None:
    weights = np.array([[0.1, 0.5, 0.4, 0.0], [0.7, 0.1, 0.2, 0.0]])
    assert hard_alignment(weights) == [(0, 1), (1, 0)]
    assert hard_alignment(weights, every_source=True) == [(0, 1), (1, 0), (2, 0)]  # the last is attended by none
    assert hard_alignment(np.zeros((3, 2)), every_source=True) == []


def test_hard_alignment_of_nothing() -> None:
    assert hard_alignment(np.zeros((3, 0))) == []
    with pytest.raises(ValueError, match=r"\[hard_alignment\] expected weights of shape"):
        hard_alignment(np.zeros(3))


def test_error_rate_of_perfect_and_of_wrong_links() -> None:
    gold = [[(0, 0), (1, 1)], [(0, 1)]]
    assert alignment_error_rate(gold, gold) == 0.0
    assert alignment_error_rate([[(5, 5)], []], gold) == 1.0
    assert alignment_error_rate([], []) == 0.0


def test_error_rate_follows_the_formula() -> None:
    # A = {a, b, c}, S = {a, d}, P = S + {b}: 1 - (|A & S| + |A & P|) / (|A| + |S|) = 1 - (1 + 2) / (3 + 2)
    a, b, c, d = (0, 0), (1, 1), (2, 2), (3, 3)
    assert alignment_error_rate([[a, b, c]], [[a, d]], [[b]]) == pytest.approx(1 - 3 / 5)
    assert alignment_error_rate([[a, b, c]], [[a, d]]) == pytest.approx(1 - 2 / 5)


def test_error_rate_needs_the_same_sentences() -> None:
    with pytest.raises(ValueError, match="expected 2 sentences, got 1 predicted"):
        alignment_error_rate([[]], [[], []])


def test_both_directions_link_what_one_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = AlignedPair("on the table", "sul tavolo", ((0, 0), (1, 0), (2, 1)))
    forced = {"sul tavolo": np.eye(3)[[0, 2]], "on the table": np.eye(2)[[0, 0, 1]]}
    monkeypatch.setattr(alignment, "forced_attention", lambda _, pairs: [forced[pair.target] for pair in pairs])
    there, back = cast(Translator, "en-it"), cast(Translator, "it-en")
    assert alignment_error(there, [pair]) == pytest.approx(1 - (2 + 2) / (2 + 3))
    assert alignment_error(there, [pair], back) == 0.0


def test_pharaoh_round_trip() -> None:
    pair = AlignedPair("a b", "c", ((0, 0), (1, 0)))
    assert pair.pharaoh() == "0-0 1-0"
    assert parse_pharaoh(pair.pharaoh()) == pair.alignment


@pytest.mark.parametrize("line", ["0", "0-", "-1", "a-b", "0-0 1_1", "²-0"])
def test_bad_pharaoh_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="expected links such as 0-1"):
        parse_pharaoh(line)
