"""Search and sampling against exhaustive enumeration and a naive reference, on toy models with a random table."""

from __future__ import annotations

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import attnkit
from attnkit.decoding import DecodingOptions, Hypothesis, Nothing, Packed, Regions, StepOutput, decode
from attnkit.decoding.shortlist import Shortlist

BOS, EOS = 0, 1
Sentence = tuple[int, ...]


class TableState:
    """Keeps each row's source and whole history, so that a wrong `select` gives wrong predictions."""

    def __init__(self, sources: list[Sentence]) -> None:
        self.sources = sources
        self.histories: list[Sentence] = [() for _ in sources]

    @property
    def rows(self) -> int:
        return len(self.sources)

    def select(self, rows: npt.NDArray[np.int32]) -> None:
        assert rows.dtype == np.int32
        self.sources = [self.sources[row] for row in rows]
        self.histories = [self.histories[row] for row in rows]


class TableModel:
    """A random distribution for every source and history; `decimals` rounds it, which makes ties."""

    bos_id, eos_id = BOS, EOS

    def __init__(self, vocabulary_size: int = 6, seed: int = 0, sharpness: float = 1.0, decimals: int = 7) -> None:
        self.vocabulary_size, self.seed, self.sharpness, self.decimals = vocabulary_size, seed, sharpness, decimals
        self.max_target_length: int | None = None
        self.batch_rows: list[int] = []

    def _random(self, source: Sentence, history: Sentence) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(repr((self.seed, source, history)).encode()))

    def log_probs(self, source: Sentence, history: Sentence) -> npt.NDArray[np.float32]:
        logits = np.round(
            self._random(source, history).normal(size=self.vocabulary_size) * self.sharpness, self.decimals
        )
        return np.asarray(logits - np.log(np.exp(logits).sum()), np.float32)

    def weights(self, source: Sentence, history: Sentence) -> npt.NDArray[np.float32]:
        return self._random(source, (-1, *history)).dirichlet(np.ones(len(source))).astype(np.float32)

    def start(self, source: Packed) -> TableState:
        spans = itertools.pairwise(source.offsets)
        return TableState([tuple(map(int, source.ids[begin:end])) for begin, end in spans])

    def step(self, state: TableState, ids: npt.NDArray[np.int32], attention: bool = False) -> StepOutput:
        assert ids.dtype == np.int32 and ids.shape == (state.rows,)
        self.batch_rows.append(state.rows)
        state.histories = [(*history, int(token)) for history, token in zip(state.histories, ids, strict=True)]
        pairs = list(zip(state.sources, state.histories, strict=True))
        assert all(history[0] == BOS for history in state.histories)
        log_probs = np.stack([self.log_probs(*pair) for pair in pairs])
        if not attention:
            return StepOutput(log_probs)
        weights = np.zeros((len(pairs), max(len(source) for source in state.sources)), np.float32)
        for row, pair in enumerate(pairs):
            weights[row, : len(pair[0])] = self.weights(*pair)
        return StepOutput(log_probs, weights)


class FixedModel(TableModel):
    """The same distribution at every step."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        super().__init__(len(probabilities))
        with np.errstate(divide="ignore"):
            self.fixed: npt.NDArray[np.float32] = np.log(np.asarray(probabilities)).astype(np.float32)

    def log_probs(self, source: Sentence, history: Sentence) -> npt.NDArray[np.float32]:
        return np.array(self.fixed)


def search(
    model: TableModel, sources: Sequence[Sentence], attention: bool = False, **arguments: Any
) -> list[list[Hypothesis]]:
    own = {name: arguments.pop(name) for name in ("prefixes", "suppress", "numbers") if name in arguments}
    return decode(model, Packed.of(sources), DecodingOptions(**arguments), attention=attention, **own)


def tokens_of(results: list[list[Hypothesis]]) -> list[list[Sentence]]:
    return [[tuple(h.tokens.tolist()) for h in hypotheses] for hypotheses in results]


def penalty(length: int, alpha: float, normalization: str) -> float:
    return float(((5 + length) / 6 if normalization == "gnmt" else length) ** alpha)


def log_probability(model: TableModel, source: Sentence, tokens: Sentence) -> float:
    history: Sentence = (BOS,)
    total = 0.0
    for token in (*tokens, EOS):
        total += float(model.log_probs(source, history)[token])
        history = (*history, token)
    return total


def enumerate_all(
    model: TableModel, source: Sentence, longest: int, alpha: float, normalization: str
) -> list[tuple[float, Sentence]]:
    words = [token for token in range(model.vocabulary_size) if token != EOS]
    outputs = (tokens for length in range(1, longest + 1) for tokens in itertools.product(words, repeat=length))
    scored = [(log_probability(model, source, t) / penalty(len(t) + 1, alpha, normalization), t) for t in outputs]
    return sorted(scored, reverse=True)


def naive_beam(
    model: TableModel, source: Sentence, beam: int, longest: int, alpha: float, normalization: str
) -> list[Sentence]:
    """The textbook beam whose places are taken by finished hypotheses, with no early stop."""
    live: list[tuple[float, Sentence]] = [(0.0, ())]
    finished: list[tuple[float, Sentence]] = []
    for step in range(longest + 1):
        candidates = []
        for total, tokens in live:
            row = model.log_probs(source, (BOS, *tokens))
            for token in [EOS] if step == longest else range(model.vocabulary_size):
                if token != EOS or step > 0:  # min_length 1
                    candidates.append((total + float(row[token]), tokens, token))
        candidates.sort(key=lambda candidate: -candidate[0])  # stable: ties go to the lower row and token
        live = []
        for total, tokens, token in candidates[: beam - len(finished)]:
            if token == EOS:
                finished.append((total / penalty(step + 1, alpha, normalization), tokens))
            else:
                live.append((total, (*tokens, token)))
        if len(finished) == beam:
            break
    return [tokens for _, tokens in sorted(finished, key=lambda pair: -pair[0])]


SOURCES: list[Sentence] = [(3, 4), (5,), (2, 3, 4, 5), (4, 4, 4), (2, 5), (3, 3, 2)]


@pytest.mark.parametrize("normalization", ["average", "gnmt"])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
def test_a_wide_beam_finds_what_exhaustive_search_finds(normalization: str, alpha: float) -> None:
    model = TableModel(vocabulary_size=4)
    results = search(model, SOURCES, beam=130, nbest=7, max_length=4, length_penalty=alpha, normalization=normalization)
    for source, hypotheses in zip(SOURCES, results, strict=True):
        expected = enumerate_all(model, source, 4, alpha, normalization)[:7]
        assert [tuple(h.tokens.tolist()) for h in hypotheses] == [tokens for _, tokens in expected]
        np.testing.assert_allclose([h.score for h in hypotheses], [score for score, _ in expected], rtol=1e-12)


@pytest.mark.parametrize("normalization", ["average", "gnmt"])
@pytest.mark.parametrize("decimals", [7, 0])  # 0: scores of whole numbers, which tie all the time
@pytest.mark.parametrize("beam", [1, 2, 3, 5])
def test_a_narrow_beam_equals_the_naive_one(beam: int, decimals: int, normalization: str) -> None:
    for seed in range(20):
        model = TableModel(vocabulary_size=5, seed=seed, decimals=decimals)
        if decimals == 0:
            model.log_probs = lambda source, history, inner=model.log_probs: np.round(inner(source, history))  # type: ignore
        for nbest in {1, beam}:
            results = search(model, SOURCES, beam=beam, nbest=nbest, max_length=7, normalization=normalization)
            for source, found in zip(SOURCES, tokens_of(results), strict=True):
                assert found == naive_beam(model, source, beam, 7, 1.0, normalization)[:nbest]


def test_the_early_stop_saves_steps() -> None:
    # The end token is likely: once "2" has ended, no longer output can make up for its lost log-probability.
    model = FixedModel([0.0, 0.9, 0.06, 0.04])
    search(model, [(2,)], beam=4, max_length=30, length_penalty=0.0)
    assert len(model.batch_rows) == 2
    model.batch_rows.clear()
    search(model, [(2,)], beam=4, nbest=4, max_length=30, length_penalty=0.0)
    assert 2 < len(model.batch_rows) < 10


def test_greedy_follows_the_likeliest_token() -> None:
    model = TableModel(vocabulary_size=9, sharpness=2.0)
    for source, [[found]] in zip(SOURCES, ([r] for r in search(model, SOURCES, beam=1, min_length=0)), strict=True):
        history: Sentence = (BOS,)
        while (token := int(np.argmax(model.log_probs(source, history)))) != EOS and len(history) <= 2 * len(
            source
        ) + 10:
            history = (*history, token)
        assert tuple(found.tokens.tolist()) == history[1:]


@pytest.mark.parametrize(
    "arguments",
    [
        {"beam": 1},
        {"beam": 5, "nbest": 5},
        {"beam": 4, "nbest": 2, "normalization": "gnmt", "no_repeat_ngram": 2},
        {"beam": 4, "nbest": 2, "repetition_penalty": 1.4},
        {"beam": 4, "nbest": 4, "rules": "transformers", "early_stopping": True},
        {"beam": 4, "nbest": 4, "rules": "transformers", "early_stopping": "never", "forced_end": False},
        {"beam": 1, "sample": True, "seed": 5},
        {"beam": 1, "sample": True, "top_p": 0.8, "top_k": 4},
    ],
)
def test_a_sentence_does_not_depend_on_its_batch(arguments: dict[str, Any]) -> None:
    model = TableModel(vocabulary_size=11, sharpness=1.5)
    whole = search(model, SOURCES, attention=True, **arguments)
    order = [4, 2, 0, 5, 1, 3]
    shuffled = search(model, [SOURCES[i] for i in order], attention=True, numbers=order, **arguments)
    for place, i in enumerate(order):
        [alone] = search(model, [SOURCES[i]], attention=True, numbers=[i], **arguments)
        for other in (shuffled[place], alone):
            assert len(whole[i]) == len(other)
            for a, b in zip(whole[i], other, strict=True):
                assert a.tokens.tobytes() == b.tokens.tobytes() and a.attention.tobytes() == b.attention.tobytes()  # type: ignore
                assert (a.score, a.log_probability, a.cut) == (b.score, b.log_probability, b.cut)


def test_nbest_is_sorted_distinct_and_starts_with_the_best() -> None:
    model = TableModel(vocabulary_size=8)
    one, many = (search(model, SOURCES, beam=6, nbest=nbest) for nbest in (1, 6))
    for [best], hypotheses in zip(one, many, strict=True):
        assert len(hypotheses) == 6
        scores = [h.score for h in hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert len({tuple(h.tokens.tolist()) for h in hypotheses}) == 6
        assert hypotheses[0].tokens.tolist() == best.tokens.tolist() and hypotheses[0].score == best.score


def test_scores_are_those_of_the_model() -> None:
    model = TableModel(vocabulary_size=8)
    for source, hypotheses in zip(SOURCES, search(model, SOURCES, beam=4, nbest=4), strict=True):
        for h in hypotheses:
            tokens = tuple(h.tokens.tolist())
            assert h.log_probability == pytest.approx(log_probability(model, source, tokens), rel=1e-12)
            assert h.score == pytest.approx(h.log_probability / (len(tokens) + 1), rel=1e-12)


def test_attention_is_that_of_each_token() -> None:
    model = TableModel(vocabulary_size=8)
    plain = search(model, SOURCES, beam=4, nbest=4)
    for source, without, hypotheses in zip(
        SOURCES, plain, search(model, SOURCES, beam=4, nbest=4, attention=True), strict=True
    ):
        for a, b in zip(without, hypotheses, strict=True):
            assert a.attention is None and a.score == b.score and a.tokens.tolist() == b.tokens.tolist()
            tokens = (BOS, *b.tokens.tolist())
            expected = [model.weights(source, tokens[: n + 1]) for n in range(len(b.tokens))]
            np.testing.assert_array_equal(b.attention, np.reshape(expected, (len(b.tokens), len(source))))


def test_finished_sentences_leave_the_batch() -> None:
    model = TableModel(vocabulary_size=5, sharpness=2.0)
    search(model, SOURCES, beam=2)
    assert model.batch_rows[0] == len(SOURCES)
    assert max(model.batch_rows) <= 2 * len(SOURCES)
    assert model.batch_rows[-1] < len(SOURCES)


def test_lengths_are_honoured() -> None:
    model = TableModel(vocabulary_size=6)
    for shortest, longest in ((0, 1), (3, 3), (4, 6)):
        for hypotheses in search(model, SOURCES, beam=4, nbest=4, min_length=shortest, max_length=longest):
            assert all(shortest <= len(h.tokens) <= longest for h in hypotheses)


def test_empty_output_is_possible_only_at_min_length_0() -> None:
    model = FixedModel([0.0, 0.9, 0.1])
    assert tokens_of(search(model, [(2,)], min_length=0)) == [[()]]
    assert tokens_of(search(model, [(2,)])) == [[(2,)]]


def test_the_default_length_limit_grows_with_the_source() -> None:
    never_ends = FixedModel([0.0, 0.1, 0.9])
    results = search(never_ends, [(2,), (2, 2, 2)], beam=1)
    assert [len(h.tokens) for [h] in results] == [12, 16]
    assert all(h.cut for [h] in results)
    never_ends.max_target_length = 8
    assert [len(h.tokens) for [h] in search(never_ends, [(2,), (2, 2, 2)], beam=1)] == [7, 7]
    assert [len(h.tokens) for [h] in search(never_ends, [(2,)], beam=1, max_length=3)] == [3]
    with pytest.raises(ValueError, match=r"expected max_length <= 7"):
        search(never_ends, [(2,)], max_length=8)


def test_an_output_that_ends_by_itself_is_not_cut() -> None:
    [[h]] = search(FixedModel([0.0, 0.9, 0.1]), [(2,)], beam=1, max_length=1)
    assert len(h.tokens) == 1 and not h.cut


@pytest.mark.parametrize("beam", [1, 3])
def test_a_prefix_is_forced_for_its_own_sentence_only(beam: int) -> None:
    model = TableModel(vocabulary_size=9)
    free = search(model, SOURCES, beam=beam)
    forced = search(model, SOURCES, beam=beam, prefixes=[(7, 7, 3), (), (), (2,), (), ()])
    assert tokens_of(forced)[0][0][:3] == (7, 7, 3) and tokens_of(forced)[3][0][0] == 2
    assert [tokens_of(forced)[i] for i in (1, 2, 4, 5)] == [tokens_of(free)[i] for i in (1, 2, 4, 5)]
    h = forced[0][0]
    assert h.log_probability == pytest.approx(log_probability(model, SOURCES[0], tuple(h.tokens.tolist())), rel=1e-12)


def test_a_prefix_overrides_every_rule() -> None:
    model = FixedModel([0.0, 0.5, 0.5, 0.0])
    [[h]] = search(model, [(2,)], beam=1, prefixes=[(3, 3)], suppress=[3], no_repeat_ngram=1, max_length=4)
    assert h.tokens.tolist()[:2] == [3, 3] and np.isfinite(h.log_probability)
    with pytest.raises(ValueError, match="prefixes of at most 4 tokens, got 5 in sentence 1"):
        search(model, [(2,)], prefixes=[(2,) * 5], max_length=4)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_no_ngram_repeats(n: int) -> None:
    model = TableModel(vocabulary_size=7, sharpness=3.0)
    model.log_probs = lambda source, history, inner=model.log_probs: inner(source, history[-1:])  # type: ignore
    longest = 6 if n == 1 else 20

    def repeats(h: Hypothesis) -> bool:
        grams = [tuple(h.tokens[i : i + n]) for i in range(len(h.tokens) - n + 1)]
        return len(set(grams)) < len(grams)

    lengths: dict[str, Any] = {"beam": 3, "min_length": longest, "max_length": longest}
    assert any(repeats(h) for [h] in search(model, SOURCES, **lengths))
    assert not any(repeats(h) for [h] in search(model, SOURCES, no_repeat_ngram=n, **lengths))


def test_tokens_that_have_occurred_are_less_likely() -> None:
    model = TableModel(vocabulary_size=7, sharpness=2.0)
    found = search(model, SOURCES, beam=1, min_length=0, repetition_penalty=1.7)
    for source, [hypothesis] in zip(SOURCES, found, strict=True):
        history: Sentence = (BOS,)
        total = 0.0
        while len(history) == 1 or history[-1] != EOS:
            scores = model.log_probs(source, history).astype(np.float64)
            scores[list(set(history))] *= 1.7
            scores -= np.log(np.exp(scores).sum())
            token = int(scores.argmax()) if len(history) <= 2 * len(source) + 10 else EOS
            total += scores[token]
            history = (*history, token)
        assert tuple(hypothesis.tokens.tolist()) == history[1:-1]
        assert hypothesis.log_probability == pytest.approx(total, rel=1e-5)


def test_a_penalty_makes_fewer_repetitions_in_samples_and_beams() -> None:
    model = TableModel(vocabulary_size=9)
    lengths: dict[str, Any] = {"min_length": 8, "max_length": 8}

    def different(**arguments: Any) -> int:
        return sum(len(set(h.tokens.tolist())) for [h] in search(model, SOURCES, **arguments, **lengths))

    for how in ({"beam": 4}, {"beam": 1, "sample": True}):
        none, some, much = (different(repetition_penalty=penalty, **how) for penalty in (1.0, 1.5, 100.0))
        assert none < much and none <= some <= much


def test_rules_that_leave_no_token_end_the_output() -> None:
    model = FixedModel([0.2, 0.1, 0.3, 0.4])
    [[h]] = search(model, [(2,)], beam=1, min_length=9, max_length=9, no_repeat_ngram=1, suppress=[BOS])
    assert h.tokens.tolist() == [3, 2] and h.cut
    assert h.log_probability == pytest.approx(math.log(0.4 * 0.3 * 0.1), rel=1e-6)


def test_suppressed_tokens_are_never_written() -> None:
    model = TableModel(vocabulary_size=6)
    for hypotheses in search(model, SOURCES, beam=4, nbest=4, suppress=[0, 3]):
        assert not any(set(h.tokens.tolist()) & {0, 3} for h in hypotheses)


def test_ties_go_to_the_lower_token() -> None:
    model = FixedModel([0.0, 0.0, 0.25, 0.25, 0.25, 0.25])
    [hypotheses] = search(model, [(2,)], beam=4, nbest=4, max_length=2)
    assert tokens_of([hypotheses]) == [[(2, 2), (2, 3), (2, 4), (2, 5)]]


PROBABILITIES = [0.0, 0.1, 0.35, 0.2, 0.05, 0.3]


def draws(count: int, model: TableModel | None = None, **arguments: Any) -> Counter[int]:
    model = model or FixedModel(PROBABILITIES)
    results = search(model, [(2,)] * count, beam=1, sample=True, max_length=1, min_length=0, **arguments)
    return Counter(int(h.tokens[0]) if len(h.tokens) else EOS for [h] in results)


def chi_square(counts: Counter[int], expected: npt.NDArray[np.float64]) -> float:
    """The 0.1 % quantile is 18.5 for 4 degrees of freedom and less for fewer."""
    total = counts.total()
    assert not any(counts[token] for token in np.flatnonzero(expected == 0).tolist())
    return float(
        sum((counts[t] - total * expected[t]) ** 2 / (total * expected[t]) for t in np.flatnonzero(expected).tolist())
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, PROBABILITIES),
        ({"seed": 2**64 - 1}, PROBABILITIES),
        ({"temperature": 0.5}, [p**2 for p in PROBABILITIES]),
        ({"top_k": 2}, [0, 0, 0.35, 0, 0, 0.3]),
        ({"top_k": 100}, PROBABILITIES),
        ({"top_p": 0.6}, [0, 0, 0.35, 0, 0, 0.3]),
        ({"top_p": 0.7}, [0, 0, 0.35, 0.2, 0, 0.3]),
        ({"top_k": 3, "top_p": 0.7}, [0, 0, 0.35, 0, 0, 0.3]),  # 0.65 of the 0.85 that top_k leaves
        ({"top_p": 1e-9}, [0, 0, 1, 0, 0, 0]),
    ],
)
def test_samples_follow_the_distribution(arguments: dict[str, Any], expected: list[float]) -> None:
    shares = np.asarray(expected) / sum(expected)
    assert chi_square(draws(20_000, **arguments), shares) < 18.5
    if np.abs(shares - PROBABILITIES).max() > 0.05:  # the test can tell
        with pytest.raises(AssertionError):
            assert chi_square(draws(20_000), shares) < 18.5


def test_of_equal_tokens_the_lower_ones_are_left() -> None:
    for arguments in ({"top_k": 3}, {"top_p": 0.33}):
        counts = draws(500, FixedModel([0.0, 0.0, *[1 / 9] * 9]), **arguments)
        assert sorted(counts) == [2, 3, 4]


def test_steps_and_sentences_draw_independently() -> None:
    results = search(FixedModel([0.0, 0.0, 0.5, 0.5]), [(2,)] * 8000, beam=1, sample=True, max_length=2, min_length=2)
    pairs = Counter(tuple(h.tokens.tolist()) for [h] in results)
    assert len(pairs) == 4
    assert sum((count - 2000) ** 2 / 2000 for count in pairs.values()) < 16.3  # 3 degrees of freedom


def test_a_seed_repeats_and_another_differs() -> None:
    model = TableModel(vocabulary_size=30)
    first, again, other = (tokens_of(search(model, SOURCES, beam=1, sample=True, seed=s)) for s in (1, 1, 2))
    assert first == again and first != other


def test_a_sample_is_scored_by_the_model_itself() -> None:
    model = TableModel(vocabulary_size=8)
    results = search(model, SOURCES, beam=1, sample=True, temperature=0.7, top_k=5, max_length=40)
    for source, [h] in zip(SOURCES, results, strict=True):
        assert h.log_probability == pytest.approx(log_probability(model, source, tuple(h.tokens.tolist())), rel=1e-12)


@pytest.mark.parametrize(
    "change",
    [
        {"beam": 1},
        {"nbest": 2},
        {"min_length": 9},
        {"max_length": 2},
        {"length_penalty": 0.0},
        {"normalization": "gnmt", "length_penalty": 0.2},
        {"no_repeat_ngram": 1},
        {"repetition_penalty": 1.5},
        {"suppress": [2, 3]},
        {"prefixes": [(5, 5)] * len(SOURCES)},
        {"beam": 1, "sample": True},
    ],
)
def test_every_option_changes_the_result(change: dict[str, Any]) -> None:
    model = TableModel(vocabulary_size=7)
    base: dict[str, Any] = {"beam": 4}
    assert tokens_of(search(model, SOURCES, **base)) != tokens_of(search(model, SOURCES, **(base | change)))


@pytest.mark.parametrize("change", [{"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.5}, {"seed": 1}])
def test_every_sampling_option_changes_the_result(change: dict[str, Any]) -> None:
    model = TableModel(vocabulary_size=9)
    base: dict[str, Any] = {"beam": 1, "sample": True}
    assert tokens_of(search(model, SOURCES, **base)) != tokens_of(search(model, SOURCES, **base, **change))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beam": 0}, "beam >= 1, got 0"),
        ({"nbest": 6}, "nbest <= beam, got nbest 6 and beam 5"),
        ({"min_length": -1}, "min_length >= 0"),
        ({"beam": 1025}, "beam <= 1024"),
        ({"max_length": 0}, "max_length >= 1"),
        ({"min_length": 5, "max_length": 4}, "min_length <= max_length"),
        ({"length_penalty": -0.1}, "length_penalty >= 0"),
        ({"length_penalty": math.nan}, "length_penalty >= 0"),
        ({"normalization": "sum"}, "normalization"),
        ({"no_repeat_ngram": -1}, "no_repeat_ngram >= 0"),
        ({"repetition_penalty": 0.0}, r"repetition_penalty > 0, got 0\.0"),
        ({"repetition_penalty": math.inf}, "repetition_penalty > 0"),
        ({"sample": True}, "beam 1 with sample, got beam 5"),
        ({"temperature": 0.5}, "expected sample with temperature"),
        ({"sample": True, "beam": 1, "temperature": 0.0}, "temperature > 0"),
        ({"sample": True, "beam": 1, "top_p": 0.0}, "top_p <= 1"),
        ({"sample": True, "beam": 1, "top_k": -1}, "top_k >= 0"),
        ({"sample": True, "beam": 1, "seed": 2**64}, "seed below"),
    ],
)
def test_nonsense_options_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DecodingOptions(**arguments)


def test_options_must_be_integers() -> None:
    with pytest.raises(TypeError, match=r"beam to be an integer, got 2\.5"):
        DecodingOptions(beam=2.5)  # type: ignore[arg-type]


def test_a_source_says_how_many_texts_and_how_long() -> None:
    packed = Packed.of([[2, 3], [4]])
    assert packed.ids.tolist() == [2, 3, 4] and packed.offsets.tolist() == [0, 2, 3]
    assert len(packed) == 2 and packed.lengths.tolist() == [2, 1]
    assert len(Packed.of([])) == 0 and len(Nothing(0)) == 0
    assert len(Nothing(3)) == 3 and Nothing(3).lengths.tolist() == [0, 0, 0]
    regions = Regions(attnkit.tensor(np.zeros((12, 5), np.float32)), np.array([0, 6, 12], np.int32), (2, 3))
    assert len(regions) == 2 and regions.lengths.tolist() == [6, 6]
    with pytest.raises(ValueError, match="expected texts >= 0, got -1"):
        Nothing(-1)


class ForgetfulModel(TableModel):
    """Writes from nothing."""

    def start(self, source: Nothing) -> TableState:  # type: ignore[override]
        return TableState([()] * source.texts)


def test_texts_without_a_source() -> None:
    model = ForgetfulModel(seed=4)
    options = DecodingOptions(beam=3, max_length=5)
    [[free], [begun]] = (
        [h.tokens.tolist() for h in found] for found in decode(model, Nothing(2), options, prefixes=[[], [3]])
    )
    assert begun[0] == 3 and free == decode(model, Nothing(1), options)[0][0].tokens.tolist()
    assert decode(model, Nothing(0), options) == []
    everything = Shortlist(np.zeros(9, np.int32), np.zeros(0, np.int32), np.arange(6, dtype=np.int32), 6)
    with pytest.raises(TypeError, match=r"\[shortlist\] expected a Packed source, .*, got Nothing"):
        decode(model, Nothing(2), options, shortlist=everything)


def test_bad_input_is_refused() -> None:
    model = TableModel()
    ids = np.array([2, 3], np.int32)
    for offsets in ([0, 1], [1, 2], [0, 2, 2], [0, 2, 1, 2], []):
        with pytest.raises(ValueError, match="expected"):
            Packed(ids, np.array(offsets, np.int32))
    with pytest.raises(ValueError, match="int32"):
        Packed(ids.astype(np.int64), np.array([0, 2], np.int32))
    with pytest.raises(TypeError, match=r"expected a source, such as Packed\(ids, offsets\), got ndarray"):
        decode(model, ids)  # type: ignore[arg-type, type-var]
    for tokens in ([EOS], [-1], [99]):
        with pytest.raises(ValueError, match="token ids"):
            search(model, [(2,)], suppress=tokens)
        with pytest.raises(ValueError, match="token ids"):
            search(model, [(2,)], prefixes=[tokens])
    with pytest.raises(ValueError, match="a prefix for each of 1"):
        search(model, [(2,)], prefixes=[])
    with pytest.raises(ValueError, match="a number for each of 1"):
        search(model, [(2,)], numbers=[1, 2])


def test_nan_stops_with_the_place() -> None:
    model = TableModel()
    model.log_probs = lambda source, history: np.full(6, np.nan if source == (3,) else -1.0, np.float32)  # type: ignore
    with pytest.raises(FloatingPointError, match="NaN for sentence 2 at token 0"):
        search(model, [(2,), (3,)])


def test_an_empty_batch_gives_nothing() -> None:
    assert search(TableModel(), []) == []
