"""Vectors of texts: what is read, how it is pooled, in which order it comes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from embedding_model import TEXTS, save_embedder

import attnkit
from attnkit.data.arrivals import PAUSE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_embedder(
        tmp_path_factory.mktemp("embed"), prompts={"query": "the bird", "none": ""}, default_prompt="none"
    )


def test_a_vector_is_the_mean_of_the_states_of_a_text_and_what_stands_around_it(folder: Path) -> None:
    embedder = attnkit.load(folder, task="embed")
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32 and vectors.shape == (len(TEXTS), 16)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = np.array([2, *embedder.tokenizer.encode(text)[:7], 3], np.int32)
        states = embedder.model.states(ids, np.array([0, len(ids)], np.int32)).numpy()
        np.testing.assert_allclose(vector, states.astype(np.float64).mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("batch_tokens", [1, 7, 4096])
def test_a_vector_is_the_same_to_the_bit_in_any_batch(folder: Path, batch_tokens: int) -> None:
    embedder = attnkit.load(folder, task="embed")
    expected = embedder.embed(TEXTS)
    assert embedder.embed(TEXTS, batch_tokens=batch_tokens).tobytes() == expected.tobytes()
    alone = [embedder.embed([text])[0] for text in TEXTS]
    assert np.stack(alone).tobytes() == expected.tobytes()


def test_a_stream_answers_what_has_come_before_a_pause(folder: Path) -> None:
    embedder = attnkit.load(folder, task="embed")
    taken = []

    def texts() -> object:
        yield TEXTS[0]
        yield PAUSE
        taken.append("asked for more")
        yield TEXTS[5]

    stream = embedder.embed_stream(texts())  # type: ignore[arg-type]
    first = next(stream)
    assert not taken and not first.truncated
    last = next(stream)
    assert last.truncated  # ten words, of which seven fit between the tokens around them
    assert np.stack([first.vector, last.vector]).tobytes() == embedder.embed([TEXTS[0], TEXTS[5]]).tobytes()


def test_prompts(folder: Path) -> None:
    embedder = attnkit.load(folder, task="embed")
    assert embedder.embed([" sings"], prompt="query").tobytes() == embedder.embed(["the bird sings"]).tobytes()
    with pytest.raises(ValueError, match=r"prompt.*none, query.*got 'passage'"):
        embedder.embed(["a"], prompt="passage")


def test_vectors_of_length_one(folder: Path, tmp_path: Path) -> None:
    embedder = attnkit.load(folder, task="embed")
    plain, unit = embedder.embed(TEXTS), embedder.embed(TEXTS, normalize=True)
    np.testing.assert_allclose(unit, plain / np.linalg.norm(plain, axis=1, keepdims=True), atol=1e-6)
    normalizing = attnkit.load(save_embedder(tmp_path / "model", normalize=True), task="embed")
    assert normalizing.embed(TEXTS).tobytes() == unit.tobytes()
    assert normalizing.embed(TEXTS, normalize=False).tobytes() == plain.tobytes()


@pytest.mark.parametrize(("precision", "least"), [("bf16", 0.999), ("int8", 0.98)])
def test_other_precisions_point_the_same_way(folder: Path, precision: object, least: float) -> None:
    exact = attnkit.load(folder, task="embed").embed(TEXTS, normalize=True)
    other = attnkit.load(folder, precision, task="embed").embed(TEXTS, normalize=True)  # type: ignore[call-overload]
    assert (exact * other).sum(axis=1).min() > least


def test_what_it_looks_at(folder: Path) -> None:
    maps = attnkit.load(folder, task="embed").attention("the cat sees")
    assert list(maps) == ["encoder", "rollout"] and maps["encoder"].weights.shape == (2, 2, 5, 5)
    assert maps["encoder"].queries == ("<s>", "the", "cat", "sees", "</s>")


def test_wrong_arguments(folder: Path) -> None:
    embedder = attnkit.load(folder, task="embed")
    with pytest.raises(TypeError, match="expected a list of texts, got one string"):
        embedder.embed("a text")
    with pytest.raises(TypeError, match="expected text in line 2, got int"):
        embedder.embed(["a", 3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="batch_tokens >= 1, got 0"):
        embedder.embed(["a"], batch_tokens=0)
    with pytest.raises(ValueError, match="expected no target"):
        embedder.attention("a", "b")
    assert embedder.embed([]).shape == (0, 16)
