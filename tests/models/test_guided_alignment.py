"""Guided alignment (Chen et al., 2016): its loss by the formula, its gradient, and the head that decoding returns."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from reference import softmax
from test_recurrent_translator import MODELS
from test_recurrent_translator import small_model as recurrent_model
from test_transformer import batch_of, random_pairs, small_model

import attnkit
from attnkit import _core, nn, ops
from attnkit._tensor import no_grad
from attnkit.decoding import Packed
from attnkit.models.guided_alignment import alignment_loss
from attnkit.text import Batch

PAIRS = random_pairs([(5, 3), (2, 4), (7, 7), (3, 1), (6, 4)])
# Of each pair, between tokens: a target token with two, a source token with two, tokens with none, pairs with none.
LINKS = [[(0, 0), (4, 0), (4, 2)], [(1, 0), (1, 1), (0, 3)], [], [(2, 0)], [(5, 3)]]


def aligned_batch() -> Batch:
    batch = batch_of(PAIRS)
    links = [
        (source + batch.source_offsets[sentence], target + batch.target_offsets[sentence])
        for sentence, each in enumerate(LINKS)
        for source, target in each
    ]
    sources, targets = np.array(sorted(links, key=lambda link: link[1]), np.int32).T
    return dataclasses.replace(batch, link_sources=sources.copy(), link_targets=targets.copy())


def expected_cost(blocks: list[np.ndarray]) -> float:
    """-Σ A log w, of the [n, m] weights of each sentence."""
    cost = 0.0
    for weights, links in zip(blocks, LINKS, strict=True):
        wanted = np.zeros(weights.shape)
        for source, target in links:
            wanted[target, source] = 1.0
        wanted /= np.maximum(wanted.sum(axis=1, keepdims=True), 1.0)
        cost -= float((wanted * np.log(weights.astype(np.float64))).sum())
    return cost


def blocks_of(flat: np.ndarray, heads: int | None = None, head: int = 0) -> list[np.ndarray]:
    """The weights of each sentence, of one head where there are several."""
    found, begin = [], 0
    for source, target in PAIRS:
        shape = (heads or 1, len(target) + 1, len(source))
        found.append(flat[begin : begin + np.prod(shape)].reshape(shape)[head])
        begin += int(np.prod(shape))
    return found


def transformer(**options: Any) -> Any:
    return small_model(heads=4, alignment_head=2, **options)


# ----- The loss


def test_the_loss_is_the_formula() -> None:
    model, batch = transformer(alignment_layer=0), aligned_batch()
    with no_grad():
        memory = model.encode(batch.source_ids, batch.source_offsets)
        _, weights = model.decode(batch.target_input_ids, batch.target_offsets, memory, batch.source_offsets, True)
        words = model.loss(batch)
        both = model.loss(batch, alignment_weight=0.7)
    cost = expected_cost(blocks_of(weights[0].numpy(), 4, 2))
    assert both.loss.item() == pytest.approx(words.loss.item() + 0.7 * cost / batch.tokens, rel=1e-5)
    assert both.nll_sum == words.nll_sum and cost > 1.0


@pytest.mark.parametrize("name", ["bahdanau", "luong-general", "luong-feeding-lstm-2", "local-p", "coverage"])
def test_the_loss_of_recurrent_models(name: str) -> None:
    """Step by step or the whole target at once, in whichever order the model takes the sentences."""
    model, batch = recurrent_model(**MODELS[name]), aligned_batch()
    model.eval()
    blocks = []
    for (source, target), _ in zip(PAIRS, LINKS, strict=True):
        state = model.start(Packed(source, np.array([0, len(source)], np.int32)))
        inputs = [model.bos_id, *target.tolist()]
        blocks.append(
            np.concatenate([model.step(state, np.array([token], np.int32), True).attention for token in inputs])
        )
    with no_grad():
        words, both = model.loss(batch), model.loss(batch, alignment_weight=0.7)
    if name == "local-p":  # its window hides some links, which cost something finite
        assert np.isfinite(both.loss.item()) and both.loss.item() > words.loss.item() + 1.0
        return
    expected = words.loss.item() + 0.7 * expected_cost(blocks) / batch.tokens
    assert both.loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_is_that_of_finite_differences() -> None:
    offsets, key_offsets = np.array([0, 2, 3], np.int32), np.array([0, 3, 5], np.int32)
    places, targets = np.array([0, 2, 7]), np.array([0, 0, 2])  # two links of the first query, one of the last
    scores = np.random.default_rng(5).normal(size=8)

    def cost(scores: np.ndarray) -> float:
        first, second = softmax(scores[:6].reshape(2, 3)), softmax(scores[6:].reshape(1, 2))
        return -float(0.5 * np.log(first[0, 0]) + 0.5 * np.log(first[0, 2]) + np.log(second[0, 1]))

    leaf = attnkit.tensor(scores.astype(np.float32), requires_grad=True)
    loss = alignment_loss(ops.ragged_softmax(leaf, offsets, key_offsets), places, targets)
    assert loss.item() == pytest.approx(cost(scores), rel=1e-6)
    loss.backward()
    steps = 1e-6 * np.eye(len(scores))
    numeric = np.array([(cost(scores + step) - cost(scores - step)) / 2e-6 for step in steps])
    assert_close(leaf.grad.numpy(), numeric, terms=3, scale=1.0)
    assert not leaf.grad.numpy()[3:6].any()  # the query without a link


def test_a_weight_of_zero_costs_something_finite() -> None:
    weights = attnkit.tensor(np.array([0.0, 1.0], np.float32), requires_grad=True)
    loss = alignment_loss(weights, np.array([0]), np.array([0]))
    loss.backward()
    assert np.isfinite(loss.item()) and loss.item() > 50 and np.isfinite(weights.grad.numpy()).all()


@pytest.mark.parametrize("make", [transformer, lambda: recurrent_model(**MODELS["bahdanau"])], ids=["head", "bahdanau"])
def test_training_reaches_what_makes_the_weights(make: Any) -> None:
    """Along its gradient a step changes the loss by the gradient's square, to first order."""
    model, batch = make(), aligned_batch()
    model.eval()

    def cost() -> Any:
        return model.loss(batch, 0.0, 1.0).loss - model.loss(batch, 0.0).loss

    before = cost()
    before.backward()
    gradients = [None if p.grad is None else p.grad.numpy().copy() for p in model.parameters()]
    square = sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients if g is not None)
    assert square > 1e-4
    step = 1e-3 / np.sqrt(square)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        if gradient is not None:
            parameter.copy_((parameter.numpy(writable=False) - step * gradient).astype(np.float32))
    assert cost().item() - before.item() == pytest.approx(-step * square, rel=0.1)


def test_the_words_are_those_without() -> None:
    batch = aligned_batch()
    hidden = []
    for model in (small_model(heads=4), transformer()):
        with no_grad():
            memory = model.encode(batch.source_ids, batch.source_offsets)
            read = model.target_embedding(batch.target_input_ids, nn.packed_positions(batch.target_offsets))
            arguments = read, batch.target_offsets, memory, batch.source_offsets
            hidden.append(model.decoder(*arguments).numpy())
    with no_grad():
        hidden.append(model.decoder.align(*arguments)[0].numpy())
    np.testing.assert_array_equal(hidden[1], hidden[0])
    np.testing.assert_array_equal(hidden[2], hidden[0])


def test_threads_change_nothing() -> None:
    before, found = _core.get_num_threads(), []
    try:
        for threads in (1, 2):
            _core.set_num_threads(threads)
            model = transformer(dropout=0.3)
            attnkit.manual_seed(4)
            model.loss(aligned_batch(), 0.1, 0.5).loss.backward()
            found.append([p.grad.numpy().tobytes() for p in model.parameters() if p.grad is not None])
    finally:
        _core.set_num_threads(before)
    assert found[0] == found[1]


# ----- The head


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("heads", [3, 4])
def test_a_step_returns_the_chosen_head(heads: int, norm: str) -> None:
    """Of one layer and head the same weights, whether all tokens are read at once or one after the other."""
    model = small_model(d_model=12, heads=heads, decoder_layers=3, norm=norm, alignment_layer=1, alignment_head=2)
    batch = aligned_batch()
    model.eval()
    with no_grad():
        memory = model.encode(batch.source_ids, batch.source_offsets)
        _, weights = model.decode(batch.target_input_ids, batch.target_offsets, memory, batch.source_offsets, True)
    expected = blocks_of(weights[1].numpy(), heads, 2)
    state = model.start(Packed(batch.source_ids, batch.source_offsets))
    for token in range(2):  # every target has as many
        ids = batch.target_input_ids[batch.target_offsets[:-1] + token]
        found = model.step(state, ids, True).attention
        assert found is not None
        for row, block in enumerate(expected):
            assert_close(found[row, : block.shape[1]], block[token], terms=heads, scale=1.0)
            assert not found[row, block.shape[1] :].any()
    other = blocks_of(weights[1].numpy(), heads, 1)
    assert np.abs(other[0] - expected[0]).max() > 0.01


def test_the_mean_over_the_heads_of_a_layer() -> None:
    model = small_model(heads=4, alignment_layer=0)
    batch = aligned_batch()
    model.eval()
    with no_grad():
        memory = model.encode(batch.source_ids, batch.source_offsets)
        _, weights = model.decode(batch.target_input_ids, batch.target_offsets, memory, batch.source_offsets, True)
    mean = np.mean([blocks_of(weights[0].numpy(), 4, head)[0][0] for head in range(4)], axis=0)
    state = model.start(Packed(batch.source_ids, batch.source_offsets))
    found = model.step(state, np.full(len(PAIRS), model.bos_id, np.int32), True).attention
    assert found is not None
    assert_close(found[0, : len(mean)], mean, terms=4, scale=1.0)


def test_asking_for_the_head_changes_no_word() -> None:
    batch, model = aligned_batch(), transformer()
    model.eval()
    first = np.full(len(PAIRS), model.bos_id, np.int32)
    outputs = [model.step(model.start(Packed(batch.source_ids, batch.source_offsets)), first, a) for a in (False, True)]
    np.testing.assert_array_equal(outputs[0].log_probs, outputs[1].log_probs)


def test_a_head_that_is_not_there() -> None:
    for options, message in (
        ({"alignment_head": 2}, "alignment_head: expected a number from 0 to 1, got 2"),
        ({"alignment_layer": 2}, "alignment_layer: expected a number from 0 to 1, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            small_model(**options)
    with pytest.raises(ValueError, match="expected an alignment_head from 0 to 3, got 4"):
        nn.TransformerDecoder(2, 16, 4, 24, alignment_head=4)
    with pytest.raises(ValueError, match="expected a decoder with an alignment_head, got one without"):
        small_model().loss(aligned_batch(), alignment_weight=0.1)
