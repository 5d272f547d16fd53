"""TrOCR, ViT-GPT2 and BLIP of transformers: our states, logits and captions are theirs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import complaint, output
from PIL import Image
from support.caption_checkpoints import BOS, EOS, VOCABULARY, save_blip, save_vision_encoder_decoder

import attnkit
from attnkit.interop.convert import convert

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

NARROW = {"hidden_size": 24, "num_attention_heads": 3}
SINUSOIDS = {"use_learned_position_embeddings": False, "layernorm_embedding": False, "scale_embedding": True}
ANOTHER = {"tie_word_embeddings": False, "activation_function": "relu", "cross_attention_hidden_size": 24}
Save = Callable[..., Any]


def save_trocr(folder: Path, **options: Any) -> Any:
    return save_vision_encoder_decoder(folder, "trocr", **options)


def save_gpt2(folder: Path, **options: Any) -> Any:
    return save_vision_encoder_decoder(folder, "gpt2", **options)


SHAPES: dict[str, tuple[Save, dict[str, Any]]] = {
    "trocr": (save_trocr, {}),
    "trocr, sinusoids, deit": (save_trocr, {**SINUSOIDS, "distilled": True, "seed": 8}),
    "trocr, sinusoids and norm": (save_trocr, {**SINUSOIDS, "layernorm_embedding": True, "decoder_layers": 1}),
    "trocr, another width": (save_trocr, {**ANOTHER, "encoder": NARROW, "seed": 3}),
    "gpt2": (save_gpt2, {}),
    "gpt2, projected": (save_gpt2, {"encoder": NARROW, "n_inner": 20, "tie_word_embeddings": False, "seed": 4}),
    "blip": (save_blip, {}),
    "blip, another width": (save_blip, {"hidden_size": 40, "hidden_act": "relu", "layer_norm_eps": 1e-3, "seed": 5}),
}
SEARCHES: dict[str, dict[str, Any]] = {
    "greedy": {"max_length": 14},
    "greedy, no repetition": {"max_length": 20, "no_repeat_ngram_size": 2, "repetition_penalty": 1.3},
    "beam": {"max_length": 18, "num_beams": 4, "no_repeat_ngram_size": 2},
    "beam, long": {"max_length": 12, "num_beams": 3, "length_penalty": 2.0, "min_length": 5, "forced_eos_token_id": 2},
    "beam, early": {"max_length": 20, "num_beams": 4, "no_repeat_ngram_size": 3, "early_stopping": True},
    "beam, late": {"max_length": 9, "num_beams": 3, "early_stopping": "never", "length_penalty": 1.5},
}


def pictures() -> list[Image.Image]:
    numbers = np.random.default_rng(7).integers(0, 256, size=(3, 16, 16, 3), dtype=np.uint8)
    return [Image.fromarray(each) for each in numbers]


def pixels(loaded: Any) -> tuple[np.ndarray, Any]:
    """The pictures as our models read them, and as theirs do."""
    ours = np.stack([loaded.preprocessing.array(each) for each in pictures()])
    return ours, torch.from_numpy(np.moveaxis(ours, 3, 1).copy())


def converted(folder: Path) -> Any:
    """Makes `new` of `old`."""
    convert(folder / "old", folder / "new")
    return attnkit.load(folder / "new")


def their_memory(model: Any, images: Any) -> Any:
    """What their decoder reads, in float64."""
    with torch.no_grad():
        if hasattr(model, "vision_model"):
            return model.double().vision_model(images.double()).last_hidden_state
        states = model.double().encoder(images.double()).last_hidden_state
        return model.enc_to_dec_proj(states) if hasattr(model, "enc_to_dec_proj") else states


@pytest.mark.parametrize("shape", list(SHAPES))
def test_states_and_logits_are_those_of_the_library(shape: str, tmp_path: Path) -> None:
    save, options = SHAPES[shape]
    model = save(tmp_path / "old", **options)
    loaded = converted(tmp_path)
    ours, images = pixels(loaded)
    regions = loaded.model.encode(ours)
    memory = their_memory(model, images).numpy()
    assert regions.grid == (4, 4) and regions.before == (2 if "deit" in shape else 1)
    np.testing.assert_allclose(regions.memory.numpy().reshape(memory.shape), memory, atol=1e-5)

    ids = np.random.default_rng(1).integers(3, len(VOCABULARY), size=(3, 7)).astype(np.int32)
    ids[:, 0] = loaded.model.bos_id
    name = "input_ids" if hasattr(model, "vision_model") else "decoder_input_ids"
    with torch.no_grad():
        expected = model(pixel_values=images.double(), **{name: torch.from_numpy(ids).long()}).logits.numpy()
    decoded = loaded.model.decoder(regions.memory, regions.offsets, ids.reshape(-1), np.arange(4, dtype=np.int32) * 7)
    found = loaded.model.output(decoded.hidden).numpy().reshape(expected.shape)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected, axis=-1).min() > 1.0


def generated(model: Any, images: Any, end: int, **options: Any) -> list[list[str]]:
    """The words that `generate` writes behind what it begins with."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.generate(pixel_values=images, do_sample=False, **options)
    before = options["input_ids"].shape[1] - 1 if "input_ids" in options else 1
    rows = [row[before:] for row in found.tolist()]
    return [[VOCABULARY[token] for token in (row[: row.index(end)] if end in row else row)] for row in rows]


@pytest.mark.parametrize("search", list(SEARCHES))
@pytest.mark.parametrize("shape", ["trocr", "trocr, sinusoids, deit", "gpt2, projected", "blip"])
def test_captions_are_those_of_generate(shape: str, search: str, tmp_path: Path) -> None:
    save, options = SHAPES[shape]
    model = save(tmp_path / "old", generation=SEARCHES[search], **options)
    loaded = converted(tmp_path)
    expected = generated(model, pixels(loaded)[1], loaded.model.eos_id, **SEARCHES[search])
    captions = loaded.caption(pictures())
    assert [caption.tokens for caption in captions] == expected
    assert len({word for words in expected for word in words}) > 1


@pytest.mark.parametrize("beams", [1, 3])
def test_a_prompt_is_counted_as_the_library_counts_it(beams: int, tmp_path: Path) -> None:
    search = {"max_length": 12, "num_beams": beams, "no_repeat_ngram_size": 3, "length_penalty": 0.5}
    model = save_blip(tmp_path / "old", generation=search)
    loaded = converted(tmp_path)
    prompt = [BOS, *(VOCABULARY.index(word) for word in ("word3", "word11")), EOS]
    expected = generated(model, pixels(loaded)[1], EOS, input_ids=torch.tensor([prompt] * 3), **search)
    captions = loaded.caption(pictures(), prompt="word3  word11", attention=True)
    assert [caption.tokens for caption in captions] == expected
    for caption, words in zip(captions, expected, strict=True):
        special = {"<s>", "<pad>", "</s>", "<unk>"}
        assert caption.text.split() == ["word3", "word11", *(word for word in words if word not in special)]
        assert caption.attention is not None and caption.attention.shape == (len(words), 4, 4)
    with pytest.raises(ValueError, match="a prompt of at most 22 tokens, got 23"):
        loaded.caption(pictures(), prompt="word3 " * 23)


@pytest.mark.parametrize("shape", ["trocr", "trocr, sinusoids, deit", "gpt2, projected", "blip"])
def test_attention_is_that_of_the_library(shape: str, tmp_path: Path) -> None:
    save, options = SHAPES[shape]
    model = save(tmp_path / "old", **options)
    loaded = converted(tmp_path)
    caption = "word1 word5 word9"
    maps = loaded.attention(pictures()[0], target=caption)
    ids = torch.tensor([[loaded.model.bos_id, *map(VOCABULARY.index, caption.split())]])
    memory = their_memory(model, pixels(loaded)[1][:1])
    if hasattr(model, "vision_model"):
        text, names = model.text_decoder, {"is_decoder": True}
    else:
        text, names = model.decoder, {}
    text.set_attn_implementation("eager")
    with torch.no_grad():
        theirs = text(input_ids=ids, encoder_hidden_states=memory, output_attentions=True, **names)
    expected = np.stack([layer[0].numpy() for layer in theirs.cross_attentions])
    np.testing.assert_allclose(maps["cross"].weights, expected, atol=1e-5)
    before = ["class", "distillation"][: 2 if "deit" in shape else 1]
    assert list(maps["cross"].keys[: len(before) + 1]) == [*before, "1,1"]
    np.testing.assert_allclose(
        maps["decoder"].weights, np.stack([layer[0].numpy() for layer in theirs.attentions]), atol=1e-5
    )
    # What a word looks at beside the image is left out of its map.
    [written] = loaded.caption(pictures()[:1], beam=1, attention=True, max_length=4)
    assert written.attention is not None
    totals = written.attention.sum(axis=(1, 2))
    assert written.attention.shape == (len(written.tokens), 4, 4) and (totals < 1).all() and (totals > 0.5).all()


@pytest.mark.parametrize("shape", ["trocr", "gpt2, projected", "blip"])
def test_layers_one_by_one_write_the_same(shape: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save, options = SHAPES[shape]
    save(tmp_path / "old", **options)
    loaded = converted(tmp_path)
    fused = loaded.caption(pictures(), beam=3, max_length=10)
    monkeypatch.setattr(type(loaded.model.decoder.decoder), "fuse", lambda self: None)
    composed = loaded.caption(pictures(), beam=3, max_length=10)
    assert [(each.text, each.score) for each in fused] == [(each.text, each.score) for each in composed]


BAD: dict[str, tuple[str, list[Any], str]] = {
    "no encoder": ("encoder", [None, [], "vit"], "encoder: expected a table"),
    "an encoder of another kind": ("encoder.model_type", ["swin", None, ["vit"]], "encoder.model_type: expected"),
    "a decoder of another kind": ("decoder.model_type", ["mbart", {}], "decoder.model_type: expected trocr or gpt2"),
    "a width of none": ("decoder.d_model", [-4, "wide", None, 7.5, 0], "d_model"),
    "a large width": ("decoder.d_model", [2**24, 2**60], "embed_tokens.weight|decoder of the tensors' size"),
    "heads": ("decoder.decoder_attention_heads", [5], "heads: expected a divisor of width = 32, got 5"),
    "layers": ("decoder.decoder_layers", [2**40, 3], "decoder_layers|larger model|layers.2"),
    "positions": ("decoder.max_position_embeddings", [2**40, 2**24, 25], "max_position|larger model|embed_positions"),
    "an activation": ("decoder.activation_function", ["tanh", 3], "activation_function"),
    "a vocabulary": ("decoder.vocab_size", [2**40, 43, -1], "vocab_size|larger model|embed_tokens|at most 43 entries"),
    "an encoder of no patches": ("encoder.patch_size", [5, 0, 2**40, [4, 2]], "patch_size"),
    "a large encoder": ("encoder.hidden_size", [2**40], "cross_attention|larger model|cls_token|heads"),
    "a token that there is not": ("eos_token_id", [44, 2**70, [2, 3], "end"], "eos_token_id|more than the tokens|int"),
}  # fmt: skip


@pytest.mark.parametrize("case", list(BAD))
def test_a_configuration_that_does_not_fit_is_one_line(case: str, tmp_path: Path) -> None:
    key, values, message = BAD[case]
    save_trocr(tmp_path / "old")
    file = tmp_path / "old" / "config.json"
    content = json.loads(file.read_text())
    for value in values:
        table = json.loads(json.dumps(content))
        *path, last = key.split(".")
        inner = table
        for name in path:
            inner = inner[name]
        inner[last] = value
        file.write_text(json.dumps(table))
        with pytest.raises(ValueError, match=message) as raised:
            convert(tmp_path / "old", tmp_path / "new")
        assert "\n" not in str(raised.value) and len(str(raised.value)) < 1000
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("save", [save_trocr, save_gpt2, save_blip])
def test_tensors_that_do_not_fit_are_named(save: Save, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    save(tmp_path / "old")
    file = tmp_path / "old" / "model.safetensors"
    tensors = load_file(file)
    crossed = next(name for name in sorted(tensors) if "cross" in name or "encoder_attn" in name)
    for changed in (None, tensors[crossed][..., :-1], np.zeros((2, 2, 2), np.float32)):
        others = {name: array for name, array in tensors.items() if name != crossed}
        save_file(others if changed is None else {**others, crossed: np.ascontiguousarray(changed)}, file)
        with pytest.raises(ValueError, match=crossed.replace(".", r"\.")):
            convert(tmp_path / "old", tmp_path / "new")
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", "{}"),
        ("generation_config.json", '{"num_beams": "many"}'),
        ("generation_config.json", "["),
        ("preprocessor_config.json", '{"size": {"height": 32, "width": 32}}'),
        ("preprocessor_config.json", '{"image_processor_type": "DonutImageProcessor"}'),
    ],
)
def test_other_files_that_do_not_fit_are_named(name: str, content: str, tmp_path: Path) -> None:
    save_blip(tmp_path / "old")
    (tmp_path / "old" / name).write_text(content)
    with pytest.raises(ValueError, match=rf"^\[\w+\] .*{name if 'size' not in content else 'image_size'}[^\n]*$"):
        convert(tmp_path / "old", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_blip_that_answers_questions_is_refused(tmp_path: Path) -> None:
    save_blip(tmp_path / "old")
    file = tmp_path / "old" / "config.json"
    table = json.loads(file.read_text())
    file.write_text(json.dumps({**table, "architectures": ["BlipForQuestionAnswering"]}))
    message = complaint("convert", tmp_path / "old", tmp_path / "new")
    assert "expected the architecture BlipForConditionalGeneration, got 'BlipForQuestionAnswering'" in message


@pytest.mark.parametrize("save", [save_trocr, save_gpt2, save_blip])
def test_a_converted_captioner_at_the_command_line(save: Save, tmp_path: Path) -> None:
    save(tmp_path / "old", generation={"num_beams": 2, "max_length": 8})
    for number, picture in enumerate(pictures()):
        picture.resize((40, 30)).save(tmp_path / f"{number}.png")
    new, photo = tmp_path / "new", tmp_path / "0.png"
    output("convert", tmp_path / "old", new)
    written = output("caption", new, photo, tmp_path / "1.png", "--attention", tmp_path / "look.html")
    assert [line.split("\t")[0] for line in written.splitlines()] == [str(photo), str(tmp_path / "1.png")]
    assert (tmp_path / "look.html").stat().st_size > 10_000
    assert output("caption", new, photo, "--prompt", "word5", "--threads", "2").split("\t")[1].startswith("word5")
    output("attention", new, photo, "--target", "word3 word9", "-o", tmp_path / "all.json")
    [looked] = json.loads((tmp_path / "all.json").read_text())["inputs"]
    assert [each["kind"] for each in looked["kinds"]] == ["encoder", "decoder", "cross"]
    assert "captioner" in output("inspect", new)


@pytest.mark.parametrize("save", [save_trocr, save_gpt2, save_blip])
@pytest.mark.parametrize("precision", ["int8", "bf16"])
def test_other_precisions_write_nearly_the_same(save: Save, precision: Any, tmp_path: Path) -> None:
    save(tmp_path / "old")
    exact = converted(tmp_path).caption(pictures(), beam=1, max_length=1)
    rounded = attnkit.load(tmp_path / "new", precision=precision).caption(pictures(), beam=1, max_length=1)
    for one, other in zip(exact, rounded, strict=True):
        assert abs(one.score - other.score) < 0.3


def test_captions_do_not_depend_on_workers_or_batches(tmp_path: Path) -> None:
    save_blip(tmp_path / "old", generation={"num_beams": 3, "max_length": 12})
    loaded = converted(tmp_path)
    alone = [loaded.caption([each])[0] for each in pictures()]
    together = loaded.caption(pictures() * 4, batch_images=4)
    assert [each.text for each in together] == [each.text for each in alone] * 4
    assert [each.score for each in together] == [each.score for each in alone] * 4
