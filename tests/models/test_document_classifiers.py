"""Models that classify documents: the formula, packed and one by one, weights, empty and huge documents, learning."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import Any

import numpy as np
import pytest
from closeness import assert_close
from pytorch_twin import copy_encoder_layer, randomise
from reference_documents import han

import attnkit
from attnkit import optim
from attnkit.models import HanConfig, TransformerClassifierConfig, build_model
from attnkit.models.document_classifier import DocumentClassifier
from attnkit.text.document_batching import DocumentBatch
from attnkit.text.tokenizers.vocabulary import BOS

V, CLASSES = 23, 3
Documents = list[list[list[int]]]
SMALL_HAN = HanConfig(embedding=9, word_hidden=6, sentence_hidden=5, dropout=0.0)
SMALL_TRANSFORMER: dict[str, Any] = dict(d_model=16, ffn=24, heads=2, layers=2, dropout=0.0)


def batch_of(documents: Documents, labels: list[int] | None = None) -> DocumentBatch:
    sentences = [sentence for document in documents for sentence in document]
    return DocumentBatch(
        np.array([number for sentence in sentences for number in sentence], np.int32),
        np.cumsum([0, *map(len, sentences)]).astype(np.int32),
        np.cumsum([0, *map(len, documents)]).astype(np.int32),
        np.array(labels or [0] * len(documents), np.int32),
        np.arange(len(documents), dtype=np.int32),
    )


def random_documents(shape: list[list[int]], seed: int = 0) -> Documents:
    """Documents of sentences of these lengths."""
    random = np.random.default_rng(seed)
    return [[random.integers(4, V, length).tolist() for length in lengths] for lengths in shape]


def model_of(name: str, seed: int = 0) -> DocumentClassifier:
    config = SMALL_HAN if name == "han" else TransformerClassifierConfig(pooling=name, **SMALL_TRANSFORMER)  # type: ignore[arg-type]
    model: DocumentClassifier = build_model(config, V, CLASSES)
    randomise(model, seed, 0.4)
    return model


# One word, one sentence, many sentences, none.
SHAPE = [[4, 1, 7], [1], [], [3, 3, 3, 3, 3], [30], [2, 17]]
MODELS = ["han", "attention", "mean", "cls"]


def documents_for(name: str, seed: int = 0) -> Documents:
    documents = random_documents(SHAPE, seed)
    if name == "han":
        return documents
    return [[[BOS, *chain(*document)]] if document else [] for document in documents]


def test_the_hierarchical_network_is_its_formula(isa: str, threads: int) -> None:
    model, batch = model_of("han"), batch_of(documents_for("han"))
    logits, weights = model(batch, return_weights=True)
    expected, words, sentences = han(model.state_dict(), batch.ids, batch.sentence_offsets, batch.document_offsets)
    assert_close(logits, expected, terms=200)
    assert_close(weights.words, words, terms=200)
    assert_close(weights.sentences, sentences, terms=200)


def test_its_gradients() -> None:
    model, batch = model_of("han"), batch_of(random_documents([[2, 1], [1], [], [3]]), [0, 1, 2, 0])
    model.loss(batch).loss.backward()
    exact = {name: array.astype(np.float64) for name, array in model.state_dict().items()}

    def loss() -> float:
        logits, _, _ = han(exact, batch.ids, batch.sentence_offsets, batch.document_offsets)
        shifted = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -float(shifted[np.arange(len(logits)), batch.labels].mean())

    random = np.random.default_rng(0)
    for name, parameter in model.named_parameters():
        gradient, array = parameter.grad.numpy(), exact[name]  # type: ignore[union-attr]
        for index in random.choice(array.size, min(5, array.size), replace=False):
            place = np.unravel_index(index, array.shape)
            before = array[place]
            array[place] = before + 1e-5
            above = loss()
            array[place] = before - 1e-5
            difference = (above - loss()) / 2e-5
            array[place] = before
            assert_close(gradient[place], difference, terms=200, scale=0.05)


@pytest.mark.parametrize("pooling", ["attention", "mean", "cls"])
def test_the_transformer_is_pytorchs(pooling: str) -> None:
    torch = pytest.importorskip("torch")
    model = model_of(pooling)
    documents = [document for document in documents_for(pooling) if document]
    logits = model(batch_of(documents)).numpy()
    size = SMALL_TRANSFORMER
    layers = [
        torch.nn.TransformerEncoderLayer(
            size["d_model"], size["heads"], size["ffn"], 0.0, batch_first=True, norm_first=True
        )
        for _ in range(size["layers"])
    ]
    for ours, theirs in zip(model.encoder.layers, layers, strict=True):  # type: ignore[attr-defined]
        copy_encoder_layer(ours, theirs)
    state = model.state_dict()
    for document, got in zip(documents, logits, strict=True):
        ids = np.array(document[0])
        positions = attnkit.nn.sinusoids(len(ids), size["d_model"])
        x = torch.tensor(state["embedding.weight"][ids] * np.float32(size["d_model"] ** 0.5) + positions)[None]
        with torch.no_grad():
            for layer in layers:
                x = layer(x)
        x = x[0].numpy()
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
        x = x * state["encoder.last_norm.weight"] + state["encoder.last_norm.bias"]
        if pooling == "attention":
            u = np.tanh(x @ state["pooling.projection.weight"].T + state["pooling.projection.bias"])
            scores = np.exp(u @ state["pooling.context"][0])
            vector = (scores / scores.sum()) @ x
        else:
            vector = x.mean(axis=0) if pooling == "mean" else x[0]
        assert_close(got, vector @ state["output.weight"].T + state["output.bias"], terms=400)


@pytest.mark.parametrize("name", MODELS)
def test_a_document_has_the_same_logits_alone_and_in_any_batch(name: str, isa: str) -> None:
    model, documents = model_of(name).eval(), documents_for(name)
    together = model(batch_of(documents)).numpy()
    backwards = model(batch_of(documents[::-1])).numpy()[::-1]
    np.testing.assert_array_equal(backwards, together)
    for document, expected in zip(documents, together, strict=True):
        np.testing.assert_array_equal(model(batch_of([document])).numpy()[0], expected)


@pytest.mark.parametrize("name", MODELS)
def test_weights_change_nothing_and_sum_to_one(name: str, threads: int) -> None:
    model, batch = model_of(name), batch_of(documents_for(name))
    logits, weights = model(batch, return_weights=True)
    np.testing.assert_array_equal(model(batch).numpy(), logits.numpy())
    assert weights.words.shape == batch.ids.shape
    assert weights.sentences.shape == (len(batch.sentence_offsets) - 1,)
    for values, offsets in ((weights.words, batch.sentence_offsets), (weights.sentences, batch.document_offsets)):
        for begin, end in pairwise(offsets):
            if end > begin:
                assert_close(values[begin:end].sum(dtype=np.float64), 1.0, terms=30)


@pytest.mark.parametrize("name", MODELS)
def test_an_empty_document_is_decided_by_the_bias(name: str) -> None:
    model = model_of(name)
    np.testing.assert_array_equal(model(batch_of([[]])).numpy()[0], model.state_dict()["output.bias"])
    assert model(batch_of([])).shape == (0, CLASSES)


@pytest.mark.parametrize("name", ["han", "attention"])
def test_a_huge_document(name: str) -> None:
    shape = [[50] * 60] if name == "han" else [[3000]]
    model, documents = model_of(name), random_documents(shape)
    both = model(batch_of([documents[0], documents_for(name)[1]])).numpy()
    assert np.isfinite(both).all()
    np.testing.assert_array_equal(model(batch_of(documents)).numpy()[0], both[0])


@pytest.mark.parametrize("name", MODELS)
def test_it_learns_which_word_decides(name: str) -> None:
    """The class is that of the one word of three that a document has; attention finds it."""
    random = np.random.default_rng(1)
    documents, labels = random_documents([[3, 4, 2], [5, 1], [8]] * 8, seed=2), random.integers(0, 3, 24).tolist()
    for document, label in zip(documents, labels, strict=True):
        for sentence in document:
            sentence[:] = [number if number > 6 else 7 for number in sentence]
        sentence = document[random.integers(len(document))]
        sentence[random.integers(len(sentence))] = 4 + label
    if name != "han":
        documents = [[[BOS, *chain(*document)]] for document in documents]
    attnkit.manual_seed(3)
    config = SMALL_HAN if name == "han" else TransformerClassifierConfig(pooling=name, **SMALL_TRANSFORMER)  # type: ignore[arg-type]
    model, batch = build_model(config, V, CLASSES), batch_of(documents, labels)
    optimizer = optim.Adam(list(model.parameters()), 0.02)
    for _ in range(80):
        model.loss(batch).loss.backward()
        optimizer.step(1.0)
        optimizer.zero_grad()
    logits, weights = model.eval()(batch, return_weights=True)
    assert (logits.numpy().argmax(axis=1) == labels).all()
    assert model.loss(batch).loss.item() < 0.1
    if name in ("han", "attention"):
        decisive = np.flatnonzero((batch.ids >= 4) & (batch.ids < 7))
        others = np.flatnonzero(batch.ids >= 7)
        assert weights.words[decisive].mean() > 2 * weights.words[others].mean()


def test_dropout_is_for_training_only() -> None:
    for config in (HanConfig(embedding=8, word_hidden=4, sentence_hidden=4, dropout=0.5),
                   TransformerClassifierConfig(**{**SMALL_TRANSFORMER, "dropout": 0.5})):  # fmt: skip
        model = build_model(config, V, CLASSES)
        name = "han" if isinstance(config, HanConfig) else "attention"
        batch = batch_of(documents_for(name))
        assert not np.array_equal(model(batch).numpy(), model(batch).numpy())
        model.eval()
        np.testing.assert_array_equal(model(batch).numpy(), model(batch).numpy())


def test_bfloat16_is_near(isa: str) -> None:
    for name in ("han", "attention"):
        model, batch = model_of(name), batch_of(documents_for(name))
        exact = model(batch).numpy()
        with attnkit.precision("bf16"):
            rounded = model(batch).numpy()
        assert not np.array_equal(rounded, exact)
        assert_close(rounded, exact, terms=16, epsilon=2**-8)
