"""All attention of a model, by kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import attnkit
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.explain.maps.weights import AttentionWeights

MODELS = Path(__file__).parents[1] / "data" / "formats" / "1" / "models"


def test_a_translator_shows_every_layer_and_head_and_its_translation_stays_the_same() -> None:
    translator = attnkit.load(MODELS / "translate")
    before = translator.translate(["the cat is on the table"])[0]
    maps = translator.attention("the cat is on the table")
    assert list(maps) == ["encoder", "decoder", "cross"]
    assert maps.output == before.text == translator.translate(["the cat is on the table"])[0].text
    for kind in maps.values():
        assert kind.weights.shape[:2] == (translator.model.config.encoder_layers, translator.model.config.heads)
        np.testing.assert_allclose(kind.weights.sum(axis=-1), 1.0, atol=1e-5)
    assert np.triu(maps["decoder"].weights, 1).max() == 0.0
    assert maps["encoder"].queries == maps["cross"].keys


def test_the_cross_attention_of_a_given_target_is_that_of_the_search() -> None:
    translator = attnkit.load(MODELS / "translate")
    result = translator.translate(["the cat is on the table"], attention=True)[0]
    cross = translator.attention("the cat is on the table", result.text)["cross"]
    assert result.attention is not None
    last = cross.view(layer=cross.layers)
    np.testing.assert_allclose(last[: len(result.tokens)], result.attention, atol=1e-5)


def test_words_sum_what_their_pieces_read_and_average_how_they_look() -> None:
    weights = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [1.0, 0.0, 0.0]], np.float32)[None, None]
    pieces = ["▁a", "nd", "▁b"]
    merged = AttentionWeights("encoder", weights, pieces, pieces).by_word()
    assert merged.keys == merged.queries == ("and", "b")
    np.testing.assert_allclose(merged.weights[0, 0], [[0.45, 0.55], [1.0, 0.0]], atol=1e-6)


def test_a_kind_layer_head_or_word_that_there_is_not_is_named() -> None:
    weights = np.full((2, 1, 2, 2), 0.5, np.float32)
    maps = AttentionMaps([AttentionWeights("gates.input", weights, ["a", "b"], ["a", "b"])])
    assert list(maps.select("gates", layer=2)) == ["gates.input"]
    assert maps.select(word="B")["gates.input"].weights.shape == (2, 1, 1, 2)
    with pytest.raises(ValueError, match=r"expected gates\.input, got 'cross'"):
        maps.select("cross")
    with pytest.raises(ValueError, match="a layer from 1 to 2, got 3"):
        maps.select(layer=3)
    with pytest.raises(ValueError, match=r"\(a, b\), got 'c'"):
        maps.select(word="c")


def test_a_word_is_found_without_its_marks_and_a_piece_by_itself() -> None:
    pieces = ["▁The", "▁ani", "mal", "▁sat", ".", "▁(", "it", ")", "</s>"]
    maps = AttentionMaps([AttentionWeights("encoder", np.eye(9, dtype=np.float32)[None, None], pieces, pieces)])

    def rows(word: str) -> tuple[str, ...]:
        return tuple(maps.select(word=word)["encoder"].queries)

    assert rows("the") == ("▁The",)
    assert rows("Animal") == ("▁ani", "mal")
    assert rows("sat") == ("▁sat",)
    assert rows("sat.") == ("▁sat", ".")
    assert rows("it") == ("it",)
    assert rows("mal") == ("mal",)
    assert rows(".") == (".",)
    assert rows("</s>") == ("</s>",)
    with pytest.raises(ValueError, match="got 'an'"):
        rows("an")
