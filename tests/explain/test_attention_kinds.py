"""What each kind of model looks at: shapes, rows, the formula in float64, and outputs that stay the same."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import looking_models as looking
import numpy as np
import pytest
import reference
import reference_attention as formula
from closeness import assert_close
from looking_models import CAPTION, STACK, TEXT, picture
from reference_documents import attention_pooling, han
from reference_vision import patches

import attnkit
from attnkit import nn
from attnkit.explain.maps.maps import AttentionMaps
from attnkit.models import (
    CaptionerConfig,
    CNNConfig,
    HanConfig,
    TransformerClassifierConfig,
    TransformerConfig,
    ViTConfig,
)
from attnkit.models.captioner_config import LSTMDecoderConfig, TransformerDecoderConfig
from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.models.glimpse_config import GlimpseConfig
from attnkit.text.tokenizers.vocabulary import BOS, EOS

TERMS = 4000  # roundings of a whole model on the way to a weight

VIT = ViTConfig(image_size=12, patch_size=4, **STACK)
CNN = CNNConfig(widths=(6, 10), blocks=2, squeeze_excitation=True, attention="dot")
SMALL_CNN = CNNConfig(widths=(6, 10), blocks=1, squeeze_excitation=True)
SOFT = LSTMDecoderConfig(width=10, hidden=14, dropout=0.0)
WRITER = TransformerDecoderConfig(width=8, layers=2, heads=2, ffn=12, max_length=16, dropout=0.0)
HARD = LSTMDecoderConfig(attention="hard", width=10, hidden=14, dropout=0.0)

Maker = Callable[..., Any]
LOOKERS: dict[str, tuple[Maker, Any, str]] = {
    "classifier, attention": (looking.text_classifier, TransformerClassifierConfig(**STACK), "text"),
    "classifier, cls": (looking.text_classifier, TransformerClassifierConfig(pooling="cls", **STACK), "text"),
    "classifier, mean": (looking.text_classifier, TransformerClassifierConfig(pooling="mean", **STACK), "text"),
    "han": (looking.text_classifier, HanConfig(embedding=6, word_hidden=4, sentence_hidden=5, dropout=0.0), "text"),
    "language model": (looking.language_model, DecoderOnlyConfig(max_length=16, **STACK), "text"),
    "translator": (
        looking.translator,
        TransformerConfig(d_model=8, ffn=12, heads=2, encoder_layers=2, decoder_layers=2, dropout=0.0),
        "text",
    ),
    "vit": (looking.image_classifier, VIT, "image"),
    "cnn": (looking.image_classifier, CNN, "image"),
    "captioner, cnn, soft": (looking.captioner, CaptionerConfig(encoder=SMALL_CNN, decoder=SOFT), "image"),
    "captioner, vit, hard": (looking.captioner, CaptionerConfig(encoder=VIT, decoder=HARD), "image"),
    "captioner, vit, transformer": (
        looking.captioner,
        CaptionerConfig(
            encoder=VIT,
            decoder=TransformerDecoderConfig(width=8, layers=2, heads=2, ffn=12, max_length=16, dropout=0.0),
        ),
        "image",
    ),
}
KINDS = {
    "classifier, attention": ["encoder", "pooling", "rollout"],
    "classifier, cls": ["encoder", "pooling", "rollout"],
    "classifier, mean": ["encoder", "pooling", "rollout"],
    "han": ["words", "sentences"],
    "language model": ["decoder"],
    "translator": ["encoder", "decoder", "cross"],
    "vit": ["encoder", "rollout"],
    "cnn": ["excitation", "attention.1", "attention.2"],
    "captioner, cnn, soft": ["excitation", "cross", "gates.beta"],
    "captioner, vit, hard": ["encoder", "cross", "gates.beta"],
    "captioner, vit, transformer": ["encoder", "decoder", "cross"],
}


def made(name: str, **options: Any) -> tuple[Any, Any]:
    """A model, and what it reads."""
    maker, config, reads = LOOKERS[name]
    return maker(config, **options), TEXT if reads == "text" else picture()


def looked(name: str, target: str | None = None, **options: Any) -> AttentionMaps:
    model, given = made(name, **options)
    maps: AttentionMaps = model.attention(given, target)
    return maps


def parameters_of(model: Any) -> Mapping[str, np.ndarray]:
    return formula.float64(model.model.state_dict())


def output_of(model: Any, given: Any) -> Any:
    """All numbers and words that a model gives without being asked for attention."""
    if hasattr(model, "classify"):
        found = model.classify([given], top=3)[0]
        return found.top
    write = next(getattr(model, verb) for verb in ("translate", "caption", "generate") if hasattr(model, verb))
    found = write([given], beam=2, max_length=14)[0]
    return found.text, found.score, found.tokens


# ----- For every kind


@pytest.mark.parametrize("name", LOOKERS)
def test_rows_sum_to_one_and_gates_lie_between_nought_and_one(name: str) -> None:
    maps = looked(name)
    assert [kind for kind in maps if not kind.startswith("gates.") or kind == "gates.beta"] == KINDS[name]
    for kind in maps.values():
        if kind.scale == "share":
            np.testing.assert_allclose(kind.weights.sum(axis=-1), 1.0, atol=1e-5)
        else:
            open_to = kind.weights.max(axis=(1, 2, 3))
            assert (open_to > 0).all() and (open_to < 1).all()
    assert maps.title == (TEXT if LOOKERS[name][2] == "text" else "")
    assert (maps.image is not None) == (LOOKERS[name][2] == "image")


@pytest.mark.parametrize("name", LOOKERS)
def test_asking_changes_no_bit_of_the_output(name: str) -> None:
    model, given = made(name)
    before = output_of(model, given)
    with nn.watching(model.model) as seen:
        assert output_of(model, given) == before
    assert seen or name == "language model"  # which writes by steps alone, as all do, and has nothing to read first
    model.attention(given)
    assert output_of(model, given) == before


@pytest.mark.parametrize("name", LOOKERS)
@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_every_precision_shows_what_it_looks_at(name: str, precision: str) -> None:
    exact = looked(name)
    model, given = made(name, precision=precision)
    for kind in model.attention(given, exact.output if hasattr(model, "caption") else None).values():
        if kind.scale == "share":
            np.testing.assert_allclose(kind.weights.sum(axis=-1), 1.0, atol=1e-3)


@pytest.mark.parametrize("name", LOOKERS)
def test_threads_that_look_at_once_see_the_same(name: str) -> None:
    model, given = made(name)
    expected = {kind: each.weights.tobytes() for kind, each in model.attention(given).items()}
    found: list[dict[str, bytes]] = []

    def look() -> None:
        found.append({kind: each.weights.tobytes() for kind, each in model.attention(given).items()})

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3


@pytest.mark.parametrize("name", ["vit", "language model", "captioner, cnn, soft"])
def test_the_same_bits_for_any_number_of_threads(name: str) -> None:
    before, seen = attnkit.get_num_threads(), []
    for count in (1, 2):
        attnkit.set_num_threads(count)
        seen.append({kind: each.weights.tobytes() for kind, each in looked(name).items()})
    attnkit.set_num_threads(before)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("name", [name for name, (*_, reads) in LOOKERS.items() if reads == "text"])
@pytest.mark.parametrize("text", ["", "  "])
def test_a_text_without_a_word_is_one_clear_line(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"^\[attention\] expected a (line|text) .*, got an empty one$"):
        made(name)[0].attention(text)


@pytest.mark.parametrize("name", ["han", "classifier, cls", "vit", "cnn"])
def test_a_classifier_is_given_no_target(name: str) -> None:
    model, given = made(name)
    with pytest.raises(ValueError, match=r"expected no target: a classifier writes no text, got 'cat'"):
        model.attention(given, "cat")


# ----- Texts


def embedded(p: Mapping[str, np.ndarray], name: str, ids: list[int]) -> np.ndarray:
    vectors = p[name][ids] * np.sqrt(p[name].shape[1])
    return vectors + formula.sinusoids(len(ids), vectors.shape[1])


@pytest.mark.parametrize("pooling", ["attention", "cls", "mean"])
def test_a_classifier_s_layers_pooling_and_rollout_are_the_formula(pooling: str) -> None:
    model, _ = made(f"classifier, {pooling}")
    maps, p = model.attention(TEXT), parameters_of(model)
    [ids] = model.reader.read(TEXT).sentences
    found = formula.transformer(p, "encoder.", embedded(p, "embedding.weight", ids), 2, 2, reference.relu)
    assert maps["encoder"].weights.shape == (2, 2, len(ids), len(ids))
    assert_close(maps["encoder"].weights, found.own, TERMS)
    assert_close(maps["rollout"].weights[0, 0], formula.rollout(found.own), TERMS)
    of_pooling = {
        "attention": lambda: attention_pooling(
            found.states, np.array([0, len(ids)]), p["pooling.projection.weight"], p["pooling.projection.bias"],
            p["pooling.context"][0],
        )[1],
        "cls": lambda: found.own[-1][:, 0].mean(axis=0),
        "mean": lambda: np.full(len(ids), 1 / len(ids)),
    }  # fmt: skip
    assert_close(maps["pooling"].weights[0, 0, 0], of_pooling[pooling](), TERMS)
    result = model.classify([TEXT])[0]
    assert maps["pooling"].queries == (result.label,)
    assert maps.output.startswith(result.label)


def test_words_and_sentences_of_a_hierarchical_network_are_the_formula() -> None:
    model, _ = made("han")
    maps = model.attention(TEXT)
    sentences = model.reader.read(TEXT).sentences
    assert len(sentences) == 2
    offsets = np.cumsum([0, *map(len, sentences)])
    _, words, of_sentences = han(parameters_of(model), np.concatenate(sentences), offsets, np.array([0, 2]))
    block = np.zeros((2, offsets[-1]))
    for row in range(2):
        block[row, offsets[row] : offsets[row + 1]] = words[offsets[row] : offsets[row + 1]]
    assert_close(maps["words"].weights[0, 0], block, TERMS)
    assert_close(maps["sentences"].weights[0, 0, 0], of_sentences, TERMS)
    assert maps["words"].queries == maps["sentences"].keys == ("sentence 1", "sentence 2")


def test_a_language_model_s_layers_are_the_formula_and_nothing_is_generated() -> None:
    model, _ = made("language model")
    maps, p = model.attention(TEXT), parameters_of(model)
    ids = [BOS, *model.tokenizer.encode(TEXT)]
    found = formula.transformer(p, "layers.", embedded(p, "embedding.weight", ids), 2, 2, causal=True)
    assert maps["decoder"].queries == maps["decoder"].keys == ("<s>", *TEXT.split())
    assert_close(maps["decoder"].weights, found.own, TERMS)
    assert np.triu(maps["decoder"].weights, 1).max() == 0.0
    split = model.attention("the animal was too", "tired . the dog was red .")
    np.testing.assert_array_equal(split["decoder"].weights, maps["decoder"].weights)
    assert (split.title, split.output) == ("the animal was too", "tired . the dog was red .")
    with pytest.raises(ValueError, match="expected a text of 1 to 15 tokens, got 16 tokens"):
        model.attention("the " * 16)


def test_an_unknown_word_stands_in_the_map_as_in_the_text() -> None:
    model, _ = made("language model")
    assert model.attention("the gnu")["decoder"].queries == ("<s>", "the", "gnu")
    classifier, _ = made("classifier, mean")
    assert classifier.attention("the gnu")["pooling"].keys[-1] == "gnu"


def test_a_translator_s_three_kinds_are_the_formula() -> None:
    model, _ = made("translator")
    maps, p = model.attention(TEXT, CAPTION), parameters_of(model)
    source = [*model.source_tokenizer.encode(TEXT), EOS]
    target = [BOS, *model.target_tokenizer.encode(CAPTION)]
    names = [name for name in p if name.endswith("embedding.weight")]
    of_source, of_target = names[0], names[-1]
    read = formula.transformer(
        p, "encoder.", embedded(p, of_source, source), 2, 2, reference.relu, model.model.config.norm
    )
    written = formula.transformer(
        p, "decoder.", embedded(p, of_target, target), 2, 2, reference.relu, model.model.config.norm, True, read.states
    )
    assert_close(maps["encoder"].weights, read.own, TERMS)
    assert_close(maps["decoder"].weights, written.own, TERMS)
    assert_close(maps["cross"].weights, written.cross, TERMS)


# ----- Images


def numbers(seed: int = 0) -> np.ndarray:
    """The picture as the models read it, [12, 12, 3]."""
    return picture(seed) / 127.5 - 1.0


def vit_states(p: Mapping[str, np.ndarray], name: str = "") -> np.ndarray:
    tokens = patches(numbers()[None], (4, 4)) @ p[name + "patches.projection.weight"].T
    tokens = tokens + p[name + "patches.projection.bias"] + p[name + "positions.weight"]
    return np.concatenate([p[name + "class_token"], tokens])


def test_a_vit_s_layers_and_rollout_are_the_formula() -> None:
    model, image = made("vit")
    maps, p = model.attention(image), parameters_of(model)
    found = formula.transformer(p, "encoder.", vit_states(p), 2, 2)
    encoder = maps["encoder"]
    assert_close(encoder.weights, found.own, TERMS)
    assert_close(maps["rollout"].weights[0, 0], formula.rollout(found.own), TERMS)
    assert encoder.queries == encoder.keys and encoder.keys[:3] == ("class", "1,1", "1,2")
    assert encoder.query_grid == encoder.key_grid == (3, 3)
    where = model.classify([image], attention=True)[0].attention
    of_class = maps["rollout"].weights[0, 0, 0, 1:]
    assert_close(where.reshape(-1), of_class / of_class.sum())
    assert maps.image is not None and maps.image.size == (256, 256)
    assert maps.select(word="class")["encoder"].weights.shape == (2, 2, 1, 10)


def test_a_vit_without_a_class_token_has_regions_alone() -> None:
    config = ViTConfig(image_size=12, patch_size=4, pooling="mean", **STACK)
    assert looking.image_classifier(config).attention(picture())["encoder"].keys[0] == "1,1"


def test_a_cnn_s_gates_and_trained_attention_are_the_formula() -> None:
    model, image = made("cnn")
    p = parameters_of(model)
    read: dict[str, tuple[Any, ...]] = {}
    handles = [
        module.register_forward_pre_hook(lambda module, args, name=name: read.update({name: args}) or None)
        for name, module in model.model.named_modules()
        if type(module).__name__ in ("SqueezeExcitation", "FeatureAttention")
    ]
    maps = model.attention(image)
    for handle in handles:
        handle.remove()
    gates = maps["excitation"]
    assert gates.weights.shape == (4, 1, 1, 10)
    assert gates.sizes == [6, 6, 10, 10]
    assert gates.layer_name(3) == "stage 2, block 2"
    for layer, name in enumerate(f"stages.{stage}.{block}.gate" for stage in range(2) for block in range(2)):
        expected = formula.excitation(p, name, np.asarray(read[name][0], np.float64)[0])
        assert_close(gates.weights[layer, 0, 0, : len(expected)], expected, TERMS)
        assert not gates.weights[layer, 0, 0, len(expected) :].any()
    for stage in range(2):
        local, whole = (np.asarray(each, np.float64)[0] for each in read[f"attentions.{stage}"])
        places = local.reshape(-1, local.shape[-1])
        projection = p.get(f"attentions.{stage}.projection.weight", np.eye(10))
        kind = maps[f"attention.{stage + 1}"]
        assert kind.key_grid == local.shape[:2]
        assert_close(kind.weights[0, 0, 0], reference.softmax(places @ projection.T @ whole), TERMS)
    assert list(maps.select("attention")) == ["attention.1", "attention.2"]


def test_a_glimpse_network_shows_each_crop() -> None:
    config = GlimpseConfig(glimpses=3, size=4, scales=2, width=8, hidden=8)
    model = looking.image_classifier(config)
    kind = model.attention(picture())["glimpses"]
    rows, columns = kind.key_grid or (0, 0)
    assert kind.weights.shape == (1, 1, 3, rows * columns)
    assert kind.queries == ("glimpse 1", "glimpse 2", "glimpse 3")
    np.testing.assert_allclose(kind.weights.sum(axis=-1), 1.0, rtol=1e-5)
    assert model.classify([picture()])[0].probability == model.classify([picture()], attention=True)[0].probability


@pytest.mark.parametrize("name", ["captioner, cnn, soft", "captioner, vit, hard"])
def test_where_a_caption_looks_and_how_far_are_the_formula(name: str) -> None:
    model, image = made(name)
    maps, p = model.attention(image, CAPTION), parameters_of(model)
    with attnkit.no_grad():
        regions = model.model.encode(model.preprocessing.array(model.read(image))[None])
    words = [BOS, *model.tokenizer.encode(CAPTION)]
    memory = np.asarray(regions.memory, np.float64)
    weights, beta = formula.show_attend_tell(p, "decoder.", memory, words, "hard" in name)
    assert_close(maps["cross"].weights[0, 0], weights, TERMS)
    assert_close(maps["gates.beta"].weights[0, 0, 0], beta, TERMS)
    assert maps["cross"].queries == maps["gates.beta"].keys == (*CAPTION.split(), "</s>")
    assert maps["cross"].key_grid == regions.grid
    assert maps.output == CAPTION
    if "hard" in name:
        assert set(np.unique(maps["cross"].weights)) == {0.0, 1.0}


def test_a_transformer_s_caption_is_the_formula() -> None:
    model, image = made("captioner, vit, transformer")
    maps, p = model.attention(image, CAPTION), parameters_of(model)
    encoder = formula.transformer(p, "encoder.encoder.", vit_states(p, "encoder."), 2, 2)
    assert_close(maps["encoder"].weights, encoder.own, TERMS)
    with attnkit.no_grad():
        memory = np.asarray(model.model.encode(model.preprocessing.array(model.read(image))[None]).memory, np.float64)
    words = [BOS, *model.tokenizer.encode(CAPTION)]
    vectors = p["decoder.embedding.weight"][words] * np.sqrt(8)
    vectors = vectors + p["decoder.embedding.positions.weight"][: len(words)]
    written = formula.transformer(p, "decoder.decoder.", vectors, 2, 2, reference.gelu, causal=True, memory=memory)
    assert_close(maps["decoder"].weights, written.own, TERMS)
    assert_close(maps["cross"].weights, written.cross, TERMS)


def test_the_gates_of_captions_are_those_of_their_maps() -> None:
    model, image = made("captioner, cnn, soft")
    both = [image, picture(5)]
    plain = model.caption(both, nbest=2, max_length=9)
    captions = model.caption(both, nbest=2, max_length=9, attention=True)
    for given, without, caption in zip(both, plain, captions, strict=True):
        assert (caption.text, caption.score) == (without.text, without.score)
        assert without.gates is None
        for each in (caption, *caption.alternatives):
            beta = model.attention(given, each.text)["gates.beta"].weights[0, 0, 0]
            assert each.gates is not None and len(each.gates) == len(each.tokens)
            assert_close(each.gates, beta[: len(each.tokens)], 100)
    transformer, _ = made("captioner, vit, transformer")
    assert transformer.caption([image], attention=True)[0].gates is None


def test_a_caption_that_is_too_long_is_named() -> None:
    model, image = made("captioner, vit, transformer")
    with pytest.raises(ValueError, match="expected a caption of at most 15 tokens, got 16"):
        model.attention(image, "a " * 16)
