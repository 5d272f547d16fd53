"""The search by the rules of transformers, against a plain version of it, on the toy models of test_decoding."""

from __future__ import annotations

import numpy as np
import pytest
from test_decoding import BOS, EOS, FixedModel, Sentence, TableModel, search, tokens_of

SOURCES: list[Sentence] = [(n, n + 1) for n in range(2, 30)]


def naive(model: TableModel, source: Sentence, beam: int, longest: int, alpha: float) -> tuple[Sentence, float]:
    """Lists that are sorted, one step after the other; the best finished hypothesis and its score."""
    live: list[tuple[float, Sentence]] = [(0.0, ())]
    finished: list[tuple[float, Sentence]] = []
    for step in range(longest + 1):
        candidates = []
        for total, tokens in live:
            row = model.log_probs(source, (BOS, *tokens))
            for token in range(model.vocabulary_size) if step < longest else [EOS]:
                # An end that is forced costs nothing.
                candidates.append((total + float(row[token]) if step < longest else total, tokens, token))
        candidates.sort(key=lambda candidate: -candidate[0])
        ended = [(total / (step + 1) ** alpha, tokens) for total, tokens, token in candidates[:beam] if token == EOS]
        finished = sorted(finished + ended, key=lambda each: -each[0])[:beam]
        going = [(total, (*tokens, token)) for total, tokens, token in candidates[: 2 * beam] if token != EOS]
        live = going[:beam]
        if not live or (len(finished) == beam and live[0][0] / (step + 1) ** alpha <= finished[-1][0]):
            break
    return finished[0][1], finished[0][0]


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("beam", [1, 2, 4])
def test_the_rules_of_transformers(beam: int, alpha: float) -> None:
    model = TableModel(vocabulary_size=9, sharpness=1.5)
    found = search(model, SOURCES, beam=beam, min_length=0, max_length=6, length_penalty=alpha, rules="transformers")
    expected = [naive(model, source, beam, 6, alpha) for source in SOURCES]
    assert [each[0] for each in tokens_of(found)] == [tokens for tokens, _ in expected]
    assert [each[0].score for each in found] == pytest.approx([score for _, score in expected])


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
