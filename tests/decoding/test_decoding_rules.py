"""The search by the rules of transformers, against a plain version of it, on the toy models of test_decoding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from test_decoding import BOS, EOS, FixedModel, Sentence, TableModel, search, tokens_of

SOURCES: list[Sentence] = [(n, n + 1) for n in range(2, 30)]


def naive(
    model: TableModel,
    source: Sentence,
    beam: int,
    longest: int,
    alpha: float,
    early: bool | str = False,
    forced_end: bool = True,
) -> list[tuple[float, Sentence]]:
    """Lists that are sorted, one step after the other; the finished hypotheses and their scores, best first."""
    live: list[tuple[float, Sentence]] = [(0.0, ())]
    finished: list[tuple[float, Sentence]] = []
    steps = longest + forced_end
    for length in range(1, steps + 1):
        candidates = []
        for total, tokens in live:
            row = model.log_probs(source, (BOS, *tokens))
            if length > longest:  # an end that is forced costs nothing
                candidates.append((total, (*tokens, EOS)))
            else:
                candidates += [(total + float(row[n]), (*tokens, n)) for n in range(model.vocabulary_size)]
        candidates = sorted(candidates, key=lambda candidate: -candidate[0])[: 2 * beam]
        over = [tokens[-1] == EOS or length == steps for _, tokens in candidates]
        ended = [(total / length**alpha, tokens) for (total, tokens), end in zip(candidates, over, strict=True) if end]
        ended = [each for each in ended if each[1] in [tokens for _, tokens in candidates[:beam]]]
        finished = sorted(finished + ended, key=lambda each: -each[0])[:beam]
        live = [each for each, end in zip(candidates, over, strict=True) if not end][:beam]
        reach = steps if early == "never" and alpha > 0 else length
        if not live or (len(finished) == beam and (early is True or live[0][0] / reach**alpha <= finished[-1][0])):
            break
    return [(score, tokens[:-1] if tokens[-1] == EOS else tokens) for score, tokens in finished]


@pytest.mark.parametrize("forced_end", [True, False])
@pytest.mark.parametrize("early", [False, True, "never"])
@pytest.mark.parametrize("alpha", [-1.0, 0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("beam", [1, 2, 4])
def test_the_rules_of_transformers(beam: int, alpha: float, early: bool | str, forced_end: bool) -> None:
    model = TableModel(vocabulary_size=9, sharpness=1.5)
    rules: dict[str, Any] = dict(rules="transformers", early_stopping=early, forced_end=forced_end)
    found = search(model, SOURCES, beam=beam, nbest=beam, min_length=0, max_length=6, length_penalty=alpha, **rules)
    if beam == 1:  # greedy search, of which there is but one
        early = True
    expected = [naive(model, source, beam, 6, alpha, early, forced_end) for source in SOURCES]
    assert tokens_of(found) == [[tokens for _, tokens in each] for each in expected]
    for hypotheses, each in zip(found, expected, strict=True):
        assert [h.score for h in hypotheses] == pytest.approx([score for score, _ in each])
        ended = [len(h.tokens) + (forced_end or not h.cut) for h in hypotheses]
        assert [h.log_probability for h in hypotheses] == pytest.approx(
            [h.score * length**alpha for h, length in zip(hypotheses, ended, strict=True)]
        )


class Written(TableModel):
    """Writes "a", as often as it has not ended: with these probabilities of an end after so many of them."""

    A = 2

    def __init__(self, ends: list[float]) -> None:
        super().__init__(3)
        self.ends = ends

    def log_probs(self, source: Sentence, history: Sentence) -> npt.NDArray[np.float32]:
        end = self.ends[min(len(history) - 1, len(self.ends) - 1)]
        with np.errstate(divide="ignore"):
            return np.log([0.0, end, 1 - end]).astype(np.float32)


ENDED = {0: math.log(0.4), 1: math.log(0.6 * 0.3) / 2, 2: math.log(0.6 * 0.7 * 0.9) / 3}
"""The scores of "", "a" and "aa" that end by themselves, -0.92, -0.86 and -0.32: of two, "" is the worse one until "aa"
has ended. What lives on then is 0.6 · 0.7 · 0.1 likely, and stays so."""
LIVES = math.log(0.6 * 0.7 * 0.1)


@pytest.mark.parametrize(
    ("rules", "steps", "expected", "cut"),
    [
        ({"early_stopping": True}, 2, {1: ENDED[1], 0: ENDED[0]}, [False, False]),
        # After two steps ln(0.6 · 0.7) / 2 = -0.43 is better than the worse of both; after three ln(0.042) / 3 is not.
        ({}, 3, {2: ENDED[2], 1: ENDED[1]}, [False, False]),
        # ln(0.042) / 10 = -0.317 could be better at the greatest length, and is.
        ({"early_stopping": "never"}, 10, {9: LIVES / 10, 2: ENDED[2]}, [True, False]),
        # Nine tokens without an end are one step less, and are worth less.
        ({"early_stopping": "never", "forced_end": False}, 9, {2: ENDED[2], 9: LIVES / 9}, [False, True]),
        # A penalty of 0 favours no length: ln(0.042) is worse than both, which only fall.
        ({"early_stopping": "never", "length_penalty": 0.0}, 3, {0: ENDED[0], 2: 3 * ENDED[2]}, [False, False]),
        # "aa" is cut without an end, ln(0.6 · 0.7) / 2; with one that costs nothing it is what would have ended here.
        ({"forced_end": False, "max_length": 2}, 2, {2: math.log(0.42) / 2, 1: ENDED[1]}, [True, False]),
        ({"max_length": 2}, 3, {2: math.log(0.42) / 3, 1: ENDED[1]}, [False, False]),
    ],
)
def test_when_a_search_is_over_and_what_is_cut(
    rules: dict[str, Any], steps: int, expected: dict[int, float], cut: list[bool]
) -> None:
    model = Written([0.4, 0.3, 0.9, 0.0])
    asked: dict[str, Any] = {"beam": 2, "nbest": 2, "min_length": 0, "max_length": 9, "rules": "transformers", **rules}
    [found] = search(model, [(3,)], **asked)
    assert [len(h.tokens) for h in found] == list(expected) and len(model.batch_rows) == steps
    assert [h.score for h in found] == pytest.approx(list(expected.values()), rel=1e-6)
    assert all(token == Written.A for h in found for token in h.tokens.tolist())
    assert [h.cut for h in found] == cut


def test_the_last_token_of_a_cut_output_has_its_attention() -> None:
    model = TableModel(vocabulary_size=9, seed=3)
    asked: dict[str, Any] = dict(beam=3, nbest=3, max_length=4, rules="transformers", forced_end=False)
    found = search(model, SOURCES, attention=True, **asked)
    assert any(h.cut for hypotheses in found for h in hypotheses)
    for source, hypotheses in zip(SOURCES, found, strict=True):
        for h in hypotheses:
            tokens = (BOS, *h.tokens.tolist())
            expected = [model.weights(source, tokens[: n + 1]) for n in range(len(h.tokens))]
            np.testing.assert_array_equal(h.attention, np.reshape(expected, (len(h.tokens), len(source))))


def test_samples_are_the_same_with_and_without_an_end() -> None:
    model = TableModel(vocabulary_size=9, seed=3)
    with_end, without = (
        search(model, SOURCES, beam=1, sample=True, max_length=3, rules="transformers", forced_end=forced)
        for forced in (True, False)
    )
    assert tokens_of(with_end) == tokens_of(without)
    for [one], [other] in zip(with_end, without, strict=True):
        cut = len(one.tokens) == 3 and other.cut
        assert other.score == pytest.approx(one.score * (4 / 3 if cut else 1))


def test_a_prefix_of_the_greatest_length_is_an_output() -> None:
    model = TableModel(vocabulary_size=9)
    rules: dict[str, Any] = dict(rules="transformers", forced_end=False)
    [[h]] = search(model, [(3,)], beam=3, prefixes=[(4, 5, 6)], max_length=3, **rules)
    assert h.tokens.tolist() == [4, 5, 6] and h.cut and len(model.batch_rows) == 3
    steps = [model.log_probs((3,), (BOS, 4, 5)[: n + 1])[token] for n, token in enumerate((4, 5, 6))]
    assert h.log_probability == pytest.approx(float(np.sum(steps))) and h.score == h.log_probability / 3
    # A model that can write nothing but an end writes it.
    model.max_target_length = 1
    assert tokens_of(search(model, [(3,)], beam=3, min_length=0, **rules)) == [[()]]


def test_the_rules_change_the_result_but_not_of_greedy_search() -> None:
    model = TableModel(vocabulary_size=9)
    for beam, same in ((1, True), (4, False)):
        one, two = (
            search(model, SOURCES, beam=beam, max_length=6, rules=rules) for rules in ("attnkit", "transformers")
        )
        assert (tokens_of(one) == tokens_of(two)) == same


def test_nbest_are_the_best_finished_ones() -> None:
    found = search(TableModel(), SOURCES, beam=4, nbest=4, max_length=6, rules="transformers")
    for hypotheses in found:
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert len({tuple(h.tokens.tolist()) for h in hypotheses}) == 4 and scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("rules", ["attnkit", "transformers"])
def test_renormalised_scores_are_of_what_may_be_written(rules: str) -> None:
    """Half of the probability is forbidden, so that each token that is left has twice as much."""
    model = FixedModel([0.0, 0.25, 0.25, 0.5])
    arguments = dict(beam=2, min_length=0, max_length=3, suppress=[3], rules=rules)
    plain, doubled = (search(model, [(2,)], **arguments, renormalize=on)[0][0] for on in (False, True))  # type: ignore[arg-type]
    assert plain.tokens.tolist() == [] and plain.log_probability == pytest.approx(np.log(0.25))
    assert doubled.log_probability == pytest.approx(np.log(0.5))
    # All of it is forbidden: what is left is impossible, but the score stays a number.
    nothing = search(FixedModel([0.0, 0.0, 0.0, 1.0]), [(2,)], **arguments, renormalize=True)[0][0]  # type: ignore[arg-type]
    assert not np.isnan(nothing.score) and nothing.cut


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(ValueError, match='expected rules "attnkit" or "transformers", got \'marian\''):
        search(TableModel(), SOURCES, rules="marian")
    for name, value in (("early_stopping", "never"), ("early_stopping", True), ("forced_end", False)):
        with pytest.raises(ValueError, match=f'expected rules "transformers" with {name}, got "attnkit"'):
            search(TableModel(), SOURCES, **{name: value})
    with pytest.raises(ValueError, match="early_stopping to be False, True or \"never\", got 'soon'"):
        search(TableModel(), SOURCES, rules="transformers", early_stopping="soon")
