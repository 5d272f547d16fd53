"""The encoder-only Transformer: its loss by a float64 formula, hidden places alone, the classifier's own stack."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import randomise

import attnkit
from attnkit import nn, optim
from attnkit.models import (
    EncoderOnly,
    EncoderOnlyConfig,
    TransformerClassifier,
    TransformerClassifierConfig,
    build_model,
)
from attnkit.text import MaskedBatch
from attnkit.text.tokenizers.vocabulary import BOS

V = 19
SMALL: dict[str, Any] = dict(d_model=8, ffn=12, heads=2, layers=2, dropout=0.0, max_length=24)


def small_model(seed: int = 0, **options: Any) -> EncoderOnly:
    model: EncoderOnly = build_model(EncoderOnlyConfig(**{**SMALL, **options}), V)
    randomise(model, seed, 0.3)
    return model


def batch_of(lines: list[list[int]], places: list[int], labels: list[int]) -> MaskedBatch:
    ids = np.array([number for line in lines for number in line], np.int32)
    offsets = np.cumsum([0, *map(len, lines)]).astype(np.int32)
    return MaskedBatch(
        ids, offsets, np.array(places, np.int32), np.array(labels, np.int32), np.arange(len(lines), dtype=np.int32)
    )


LINES = [[BOS, 5, 4, 7, 4], [BOS, 4], [BOS, 9, 10, 11, 4, 13, 14, 15]]
BATCH = batch_of(LINES, [2, 4, 6, 11], [6, 8, 12, 18])


def norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * weight + bias


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + np.vectorize(math.erf)(x / math.sqrt(2.0)))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def formula(model: EncoderOnly, ids: list[int]) -> np.ndarray:
    """Logits [n, V] of one text at all its places, pre-norm and tied, in float64."""
    w = {name: np.asarray(value, np.float64) for name, value in model.state_dict().items()}
    d, heads = model.config.d_model, model.config.heads
    linear = lambda x, name: x @ w[f"{name}.weight"].T + w[f"{name}.bias"]  # noqa: E731
    normed = lambda x, name: norm(x, w[f"{name}.weight"], w[f"{name}.bias"])  # noqa: E731
    x = w["embedding.weight"][ids] * math.sqrt(d) + np.asarray(nn.sinusoids(24, d), np.float64)[: len(ids)]
    for layer in range(model.config.layers):
        name = f"encoder.layers.{layer}"
        read = normed(x, f"{name}.attention_norm")
        query, key, value = np.split(linear(read, f"{name}.attention.projection"), 3, axis=1)
        split = lambda part: part.reshape(len(ids), heads, d // heads).transpose(1, 0, 2)  # noqa: E731
        weights = softmax(split(query) @ split(key).transpose(0, 2, 1) / math.sqrt(d // heads))
        x = x + linear((weights @ split(value)).transpose(1, 0, 2).reshape(len(ids), d), f"{name}.attention.output")
        read = normed(x, f"{name}.feed_forward_norm")
        x = x + linear(gelu(linear(read, f"{name}.feed_forward.up")), f"{name}.feed_forward.down")
    x = normed(gelu(linear(normed(x, "encoder.last_norm"), "transform")), "transform_norm")
    return x @ w["embedding.weight"].T + w["tied_output_bias"]


def test_the_loss_is_that_of_the_formula_at_the_hidden_places() -> None:
    model = small_model()
    logits = np.concatenate([formula(model, line) for line in LINES])[np.asarray(BATCH.places)]
    assert_close(model(BATCH).numpy(), logits, terms=400)
    nll = -np.log(softmax(logits))[np.arange(4), np.asarray(BATCH.labels)]
    result = model.loss(BATCH)
    assert result.tokens == 4
    assert_close(result.nll_sum, nll.sum(), terms=400)
    assert_close(result.loss.item(), nll.mean(), terms=400)
    smooth = 0.9 * nll.mean() - 0.1 * np.log(softmax(logits)).mean()
    assert_close(model.loss(BATCH, 0.1).loss.item(), smooth, terms=400)


def test_what_is_behind_a_gap_is_read_too() -> None:
    model = small_model()
    before = model(BATCH).numpy()
    changed = [LINES[0], LINES[1], [*LINES[2][:-1], 16]]
    after = model(batch_of(changed, [2, 4, 6, 11], [6, 8, 12, 18])).numpy()
    np.testing.assert_array_equal(after[:3], before[:3])
    assert not np.array_equal(after[3], before[3])


def test_a_text_has_the_same_logits_in_every_batch(isa: str) -> None:
    model = small_model(d_model=48, heads=4, ffn=80)
    together = model(BATCH).numpy()
    alone = [model(batch_of([LINES[0]], [2, 4], [6, 8])), model(batch_of([LINES[2]], [4], [18]))]
    np.testing.assert_array_equal(np.concatenate([part.numpy() for part in alone]), together[[0, 1, 3]])


OPTIONS: list[dict[str, Any]] = [
    {},
    {"norm": "post", "activation": "relu", "positions": "learned"},
    {"norm_kind": "rms", "gated": True, "activation": "silu", "embedding_norm": True, "token_types": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_stack_is_a_classifiers(options: dict[str, Any]) -> None:
    """The same names and the same states, so that weights move without a table of names."""
    model = small_model(**options)
    config = TransformerClassifierConfig(**{**SMALL, "activation": "gelu", **options})
    classifier: TransformerClassifier = build_model(config, V, 3)
    classifier.embedding.load_state_dict(model.embedding.state_dict())
    classifier.encoder.load_state_dict(model.encoder.state_dict())
    embedded = classifier.embedding(BATCH.ids, nn.packed_positions(BATCH.offsets))
    states = model.states(BATCH.ids, BATCH.offsets)
    np.testing.assert_array_equal(classifier.encoder(embedded, BATCH.offsets).numpy(), states.numpy())


def test_an_output_of_its_own() -> None:
    tied, own = small_model(), small_model(tie_embeddings=False)
    names = {True: "tied_output_bias", False: "generator.bias"}
    for model, is_tied in ((tied, True), (own, False)):
        state = model.state_dict()
        assert (names[is_tied] in state) and (names[not is_tied] not in state)
    assert own(BATCH).shape == (4, V)


def test_it_learns() -> None:
    model = small_model(d_model=16)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    first = model.loss(BATCH).loss.item()
    for _ in range(150):
        model.loss(BATCH).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert model.loss(BATCH).loss.item() < 0.1 < first
    assert model(BATCH).numpy().argmax(axis=1).tolist() == [6, 8, 12, 18]


# ----- A classifier that reads causally


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_a_causal_classifier_reads_as_a_language_model(pooling: Any) -> None:
    from attnkit.models import DecoderOnly, DecoderOnlyConfig
    from attnkit.text.document_batching import DocumentBatch

    language: DecoderOnly = build_model(DecoderOnlyConfig(**SMALL), V)
    randomise(language, 3, 0.3)
    config = TransformerClassifierConfig(**SMALL, activation="gelu", pooling=pooling, causal=True)
    classifier: TransformerClassifier = build_model(config, V, 3)
    classifier.embedding.load_state_dict(language.embedding.state_dict())
    classifier.encoder.load_state_dict(language.layers.state_dict())
    classifier.eval()
    each = np.arange(4, dtype=np.int32)
    batch = DocumentBatch(np.array(BATCH.ids), np.array(BATCH.offsets), each, np.zeros(3, np.int32), each[:3])
    vectors, weights = classifier.represent(batch, return_weights=True)
    np.testing.assert_array_equal(classifier.represent(batch).numpy(), vectors.numpy())
    states = language.states(BATCH.ids, BATCH.offsets).numpy()
    for place, (begin, end) in enumerate(pairwise(BATCH.offsets)):
        assert_close(weights.words[begin:end].sum(), 1.0, terms=20)
        if pooling == "last":
            np.testing.assert_array_equal(vectors.numpy()[place], states[end - 1])
            assert_close(weights.words[begin:end], language.attention(np.asarray(BATCH.ids)[begin:end])[-1], terms=20)


def test_the_start_token_of_a_causal_classifier_is_refused() -> None:
    with pytest.raises(ValueError, match=r'pooling: expected another for causal = true, .* got "cls"'):
        TransformerClassifierConfig(**SMALL, pooling="cls", causal=True)
    assert attnkit.models.TransformerClassifierConfig(**SMALL).causal is False
