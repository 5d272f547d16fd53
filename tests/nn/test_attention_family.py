"""Every score with every normaliser: against float64, finite differences, one by one, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference_family as reference
import reference_ragged as ragged
from closeness import assert_close, numeric_gradients
from pytorch_twin import randomise

import attnkit
from attnkit import nn
from attnkit._tensor import tensor

SIZE, WINDOW = 6, 2
SCORES: dict[str, Callable[[], nn.Score]] = {
    "additive": lambda: nn.AdditiveScore(SIZE, SIZE, 5),
    "concat": lambda: nn.ConcatScore(SIZE, SIZE, 5),
    "dot": lambda: nn.DotScore(SIZE, SIZE),
    "scaled-dot": lambda: nn.ScaledDotScore(SIZE, SIZE),
    "general": lambda: nn.GeneralScore(SIZE, SIZE),
    "scaled-general": lambda: nn.ScaledGeneralScore(SIZE, SIZE),
    "location": lambda: nn.LocationScore(SIZE, 12),
    "cosine": lambda: nn.CosineScore(SIZE, SIZE),
}
NORMALISERS: dict[str, Callable[[], nn.Normaliser]] = {
    "softmax": nn.SoftmaxNormaliser,
    "local-m": lambda: nn.LocalMonotonicNormaliser(WINDOW),
    "local-p": lambda: nn.LocalPredictiveNormaliser(SIZE, WINDOW),
    "hard": nn.HardNormaliser,
    "structured": nn.StructuredNormaliser,
}
LOCAL = ("local-m", "local-p")
PAIRS = [(s, n) for s in SCORES for n in NORMALISERS if not (s == "location" and n in LOCAL)]
# The second target is longer than its source; the last source has one token.
QUERIES, KEYS = [3, 6, 2], [8, 3, 1]
QO, KO = (np.cumsum([0, *lengths]).astype(np.int32) for lengths in (QUERIES, KEYS))


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


QUERY, MEMORY = numbers(int(QO[-1]), SIZE), numbers(int(KO[-1]), SIZE, seed=1)


def attention_of(score: str, normaliser: str) -> nn.Attention:
    module = nn.Attention(SCORES[score](), NORMALISERS[normaliser]())
    randomise(module, deviation=0.7)
    return module


def in_float64(
    module: nn.Attention, query: np.ndarray, memory: np.ndarray, qo: np.ndarray, ko: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(context, flat weights) by the formulas."""
    score, normaliser = module.score, module.normaliser
    query, memory = query.astype(np.float64), memory.astype(np.float64)
    flat = reference.scores(score.name, reference.weights_of(score), query, memory, qo, ko)
    weights = reference.weights(normaliser.name, reference.weights_of(normaliser), flat, query, qo, ko, WINDOW)
    return ragged.sums(weights, memory, qo, ko), weights


@pytest.mark.parametrize(("score", "normaliser"), PAIRS)
def test_against_float64(score: str, normaliser: str, isa: str) -> None:
    module = attention_of(score, normaliser)
    module.eval()
    context, weights, choice = module(tensor(QUERY), module.prepare(tensor(MEMORY), KO), QO)
    expected_context, expected_weights = in_float64(module, QUERY, MEMORY, QO, KO)
    assert_close(weights, expected_weights, terms=64)
    assert_close(context, expected_context, terms=64)
    assert choice is None
    sums = ragged.sums(np.asarray(weights, np.float64), np.ones((KO[-1], 1)), QO, KO)
    if normaliser in ("softmax", "local-m", "hard"):
        np.testing.assert_allclose(sums, 1.0, rtol=1e-6)
    elif normaliser == "local-p":
        assert (sums <= 1 + 1e-6).all() and (sums > 0).all()


@pytest.mark.parametrize(("score", "normaliser"), [pair for pair in PAIRS if pair[1] != "hard"])
def test_gradients(score: str, normaliser: str) -> None:
    module = attention_of(score, normaliser)
    upstream = numbers(len(QUERY), SIZE, seed=2)
    query, memory = tensor(QUERY, requires_grad=True), tensor(MEMORY, requires_grad=True)
    module(query, module.prepare(memory, KO), QO).context.backward(upstream)

    names = [name for name, _ in module.named_parameters()]
    arrays = [parameter.numpy().astype(np.float64) for parameter in module.parameters()]

    def formula(q: np.ndarray, m: np.ndarray, *parameters: np.ndarray) -> np.ndarray:
        by_part: dict[str, reference.Weights] = {"score": {}, "normaliser": {}}
        for name, values in zip(names, parameters, strict=True):
            part, _, rest = name.partition(".")
            by_part[part][rest] = values
        flat = reference.scores(score, by_part["score"], q, m, QO, KO)
        weights = reference.weights(normaliser, by_part["normaliser"], flat, q, QO, KO, WINDOW)
        return ragged.sums(weights, m, QO, KO)

    inputs = [QUERY.astype(np.float64), MEMORY.astype(np.float64), *arrays]
    exact = numeric_gradients(formula, inputs, upstream)
    for tensor_, expected in zip([query, memory, *module.parameters()], exact, strict=True):
        got = np.zeros_like(expected) if tensor_.grad is None else tensor_.grad.numpy()
        assert_close(got, expected, terms=300, scale=1.0)


@pytest.mark.parametrize(("score", "normaliser"), PAIRS)
def test_a_batch_is_its_sentences_one_by_one(score: str, normaliser: str) -> None:
    module = attention_of(score, normaliser)
    module.eval()
    context, weights, _ = module(tensor(QUERY), module.prepare(tensor(MEMORY), KO), QO)
    for queries, keys, pairs in ragged.blocks(QO, KO):
        qo = np.array([0, queries.stop - queries.start], np.int32)
        ko = np.array([0, keys.stop - keys.start], np.int32)
        alone = module(tensor(QUERY[queries]), module.prepare(tensor(MEMORY[keys]), ko), qo)
        np.testing.assert_array_equal(alone.context, context.numpy()[queries])
        np.testing.assert_array_equal(alone.weights, weights.numpy()[pairs])


@pytest.mark.parametrize(("score", "normaliser"), PAIRS)
def test_steps_are_the_whole_at_once(score: str, normaliser: str) -> None:
    """One query a sentence at a time, as in decoding, with its position said."""
    module = attention_of(score, normaliser)
    module.eval()
    memory = module.prepare(tensor(MEMORY), KO)
    context = module(tensor(QUERY), memory, QO).context.numpy()
    for step in range(2):
        rows, positions = QO[:-1] + step, np.full(3, step, np.int32)
        now = module(tensor(QUERY[rows]), memory, np.arange(4, dtype=np.int32), positions).context
        np.testing.assert_array_equal(now, context[rows])


def test_coverage() -> None:
    score = nn.AdditiveScore(SIZE, SIZE, 5, coverage=True)
    randomise(score)
    module = nn.Attention(score, nn.SoftmaxNormaliser())
    memory = module.prepare(tensor(MEMORY), KO)
    query, offsets = tensor(QUERY[:3]), np.arange(4, dtype=np.int32)
    coverage = np.abs(numbers(int(KO[-1]), seed=4))
    flat = reference.scores(
        "additive", reference.weights_of(score), QUERY[:3].astype(np.float64), MEMORY.astype(np.float64), offsets, KO,
        coverage.astype(np.float64),
    )  # fmt: skip
    weights = module(query, memory, offsets, coverage=tensor(coverage)).weights
    assert_close(weights, ragged.softmax(flat, offsets, KO), terms=64)
    assert np.abs(weights.numpy() - module(query, memory, offsets, coverage=tensor(coverage * 0)).weights.numpy()).max()
    with pytest.raises(ValueError, match=re.escape("[additive] expected a coverage with coverage=True")):
        module(query, memory, offsets)
    plain = nn.Attention(nn.AdditiveScore(SIZE, SIZE, 5), nn.SoftmaxNormaliser())
    with pytest.raises(ValueError, match=re.escape("[additive] expected a coverage only with coverage=True")):
        plain(query, plain.prepare(tensor(MEMORY), KO), offsets, coverage=tensor(coverage))


# --- hard attention


def test_hard_attention_samples_in_training_only() -> None:
    module = attention_of("additive", "hard")
    memory = module.prepare(tensor(MEMORY), KO)
    attnkit.manual_seed(1)
    first = module(tensor(QUERY), memory, QO)
    assert first.choice is not None
    assert first.choice.log_probability.shape == first.choice.entropy.shape == (len(QUERY),)
    weights = first.weights.numpy()
    assert set(np.unique(weights)) == {0.0, 1.0}
    samples = np.mean([module(tensor(QUERY), memory, QO).weights.numpy() for _ in range(400)], axis=0)
    soft = nn.Attention(module.score, nn.SoftmaxNormaliser())(tensor(QUERY), memory, QO).weights.numpy()
    np.testing.assert_allclose(samples, soft, atol=4 * np.sqrt(0.25 / 400))
    np.testing.assert_allclose(first.choice.log_probability.numpy(), _rows(weights * np.log(soft)), rtol=1e-4)
    np.testing.assert_allclose(first.choice.entropy.numpy(), _rows(-soft * np.log(soft)), rtol=1e-4, atol=1e-6)


def _rows(flat: np.ndarray) -> np.ndarray:
    return ragged.sums(flat.astype(np.float64), np.ones((KO[-1], 1)), QO, KO)[:, 0]


@pytest.mark.parametrize("training", [True, False])
def test_what_hard_attention_expects_is_soft_attention(training: bool) -> None:
    module = attention_of("additive", "hard").train(training)
    memory = module.prepare(tensor(MEMORY), KO)
    expected = module(tensor(QUERY), memory, QO, expected=True)
    soft = nn.Attention(module.score, nn.SoftmaxNormaliser())(tensor(QUERY), memory, QO)
    assert expected.choice is None
    np.testing.assert_array_equal(expected.weights.numpy(), soft.weights.numpy())
    np.testing.assert_array_equal(expected.context.numpy(), soft.context.numpy())


def test_reinforce_points_where_the_exact_gradient_does() -> None:
    """The mean over samples of reward · ∇ log p against the gradient of the expected reward."""
    rewards = numbers(5, seed=3)
    qo, ko = np.array([0, 1], np.int32), np.array([0, 5], np.int32)
    scores = tensor(numbers(5), requires_grad=True)
    hard, soft = nn.HardNormaliser(), nn.SoftmaxNormaliser()
    rows = nn.Rows(tensor(numbers(1, 1)), qo, ko, np.zeros(1, np.int32))
    (soft(scores, rows) * rewards).sum().backward()
    assert scores.grad is not None
    exact = scores.grad.numpy().copy()
    scores.zero_grad()
    samples = 3000
    for _ in range(samples):
        picked, choice = hard.choose(scores, rows)
        assert choice is not None
        (choice.log_probability * float(picked.numpy() @ rewards)).sum().backward()
    np.testing.assert_allclose(scores.grad.numpy() / samples, exact, atol=0.05)


def test_straight_through() -> None:
    score, straight = SCORES["additive"](), nn.HardNormaliser(straight_through=True)
    module = nn.Attention(score, straight)
    attended = module(tensor(QUERY), module.prepare(tensor(MEMORY), KO), QO)
    assert attended.choice is None
    attended.context.sum().backward()
    assert all(p.grad is not None and np.abs(p.grad.numpy()).max() > 0 for p in (score.query.weight, score.v))


# --- sizes at the ends, and what is refused


@pytest.mark.parametrize(("score", "normaliser"), PAIRS)
def test_a_source_of_one_token_and_of_two_thousand(score: str, normaliser: str) -> None:
    if score == "location":
        module = nn.Attention(nn.LocationScore(SIZE, 2000), NORMALISERS[normaliser]())
    else:
        module = attention_of(score, normaliser)
    ko, qo = np.array([0, 1, 2001], np.int32), np.array([0, 2, 4], np.int32)
    context, weights, _ = module(tensor(numbers(4, SIZE)), module.prepare(tensor(numbers(2001, SIZE)), ko), qo)
    assert np.isfinite(context.numpy()).all() and np.isfinite(weights.numpy()).all()


def refused(error: str, call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        call()


@pytest.mark.parametrize("normaliser", LOCAL)
def test_location_with_a_window_is_refused(normaliser: str) -> None:
    refused(
        f'[attention] expected a score that reads the source with "{normaliser}": it chooses a window by position, and '
        '"location" knows nothing but the position; use "location" with "softmax"',
        lambda: nn.Attention(SCORES["location"](), NORMALISERS[normaliser]()),
    )


@pytest.mark.parametrize("score", [nn.DotScore, nn.ScaledDotScore, nn.CosineScore])
def test_widths_that_differ_are_refused(score: Any) -> None:
    refused(
        f"[{score.name}] expected a query and a memory of one width, got 4 and 6; "
        'the score "general" compares different ones',
        lambda: score(4, 6),
    )


def test_other_mistakes() -> None:
    refused("[local-m] expected a window of at least 1, got 0", lambda: nn.LocalMonotonicNormaliser(0))
    refused("[local-p] expected a window of at least 1, got 0", lambda: nn.LocalPredictiveNormaliser(4, 0))
    location = SCORES["location"]()
    refused(
        "[location] expected at most 12 tokens in a source, got 13",
        lambda: location.keys(tensor(numbers(13, SIZE)), np.array([0, 13])),
    )


# --- the memory of the Neural Turing Machine


def softplus(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.log1p(np.exp(x)))


def test_memory_read() -> None:
    layer = nn.MemoryRead(SIZE, 4)
    randomise(layer)
    keys, values = numbers(int(KO[-1]), 4, seed=5), numbers(int(KO[-1]), 3, seed=6)
    context, weights = layer(tensor(QUERY), QO, tensor(keys), tensor(values), KO)
    p, query = reference.weights_of(layer), QUERY.astype(np.float64)
    asked = query @ p["key.weight"].T + p["key.bias"]
    beta = softplus(query @ p["sharpness.weight"].T + p["sharpness.bias"])
    cosines = ragged.dots(ragged.unit_rows(asked) * beta, ragged.unit_rows(keys.astype(np.float64)), QO, KO)
    expected = ragged.softmax(cosines, QO, KO)
    assert_close(weights, expected, terms=64)
    assert_close(context, ragged.sums(expected, values.astype(np.float64), QO, KO), terms=64)


def test_a_memory_of_its_own_learns_to_answer() -> None:
    attnkit.manual_seed(2)
    layer = nn.MemoryRead(8, 8, 3, slots=5)
    queries, answers = tensor(numbers(5, 8)), numbers(5, 3, seed=1)
    optimizer = attnkit.optim.Adam(layer.parameters(), lr=0.03)
    for _ in range(300):
        result, weights = layer(queries)
        difference = result - answers
        loss = (difference * difference).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert weights.shape == (25,)
    np.testing.assert_allclose(weights.numpy().reshape(5, 5).sum(1), 1.0, rtol=1e-6)
    assert loss.item() < 0.05
    assert len(list(layer.parameters())) == 6


def test_a_memory_read_without_a_memory_is_refused() -> None:
    refused(
        "[memory_read] expected keys to read, since the layer has no slots of its own",
        lambda: nn.MemoryRead(4, 4)(tensor(numbers(2, 4))),
    )
    refused(
        "[memory_read] expected query_offsets and key_offsets with keys",
        lambda: nn.MemoryRead(4, 4)(tensor(numbers(2, 4)), keys=tensor(numbers(3, 4))),
    )


# --- what is not read costs nothing


@pytest.mark.parametrize("normaliser", [*LOCAL, "hard"])
def test_keys_and_values_that_are_not_read_are_not_touched(normaliser: str) -> None:
    kinds: dict[str, Any] = {
        "local-m": lambda: nn.LocalMonotonicNormaliser(1),
        "local-p": lambda: nn.LocalPredictiveNormaliser(4, 1),
        "hard": nn.HardNormaliser,
    }
    attention = nn.Attention(nn.DotScore(4, 4), kinds[normaliser]())
    attention.eval()
    query, offsets, ko = attnkit.tensor(np.eye(4, dtype=np.float32)[:2]), np.array([0, 2], np.int32), np.array([0, 12])
    memory = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)
    prepared = attention.prepare(attnkit.tensor(memory), ko)
    expected = attention(query, prepared, offsets)
    unread = expected.weights.numpy().reshape(2, 12).sum(axis=0) == 0
    assert unread.any()
    values, keys = memory.copy(), memory.copy()
    values[unread] = np.nan
    if normaliser != "hard":  # which has to score all to find the best
        keys[unread] = np.nan
    broken = nn.attention.Memory(attnkit.tensor(keys), attnkit.tensor(values), prepared.offsets)
    attended = attention(query, broken, offsets)
    np.testing.assert_array_equal(attended.weights.numpy(), expected.weights.numpy())
    np.testing.assert_array_equal(attended.context.numpy(), expected.context.numpy())


def test_a_score_that_knows_no_windows_is_asked_for_all() -> None:
    class Own(nn.Score):
        def forward(
            self, query: Any, keys: Any, query_offsets: Any, key_offsets: Any, coverage: Any = None
        ) -> attnkit.Tensor:
            return attnkit.ops.ragged_dots(query, keys, query_offsets, key_offsets)

    memory = attnkit.tensor(np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32))
    offsets, ko = np.array([0, 3], np.int32), np.array([0, 12])
    query = attnkit.tensor(np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32))
    results = []
    for score in (Own(), nn.DotScore(4, 4)):
        attention = nn.Attention(score, nn.LocalMonotonicNormaliser(2))
        results.append(attention(query, attention.prepare(memory, ko), offsets))
    np.testing.assert_array_equal(results[0].weights.numpy(), results[1].weights.numpy())
    np.testing.assert_array_equal(results[0].context.numpy(), results[1].context.numpy())
