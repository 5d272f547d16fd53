"""CLIP of transformers: our vectors, pixels, ids and probabilities are theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_checkpoints import LENGTH, save_clip, write_tokenizer
from PIL import Image

import attnkit
from attnkit.interop.convert import convert
from attnkit.models.files import load_model
from attnkit.tasks.inspect import inspect

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TEXTS = [
    "a cat",
    "A DOG's photo, 12 times!!",
    "",
    "  Zürich\tnaïve 漢字 😀 it's, they've — don't\n",
    "a dog <|endoftext|> a cat",
    "far too long " * 10,
]
SHAPES: dict[str, dict[str, Any]] = {
    "small": {},
    "deep": {"text": {"num_hidden_layers": 4, "hidden_act": "gelu"}, "vision": {"num_hidden_layers": 1}, "width": 5},
    "wide": {
        "text": {"hidden_size": 32, "num_attention_heads": 1, "layer_norm_eps": 1e-3},
        "vision": {
            "hidden_size": 16,
            "num_attention_heads": 4,
            "image_size": 12,
            "patch_size": 4,
            "hidden_act": "gelu",
        },
        "width": 40,
    },
}


def converted(folder: Path, **options: Any) -> Any:
    """Makes `new` of `old`."""
    convert(folder / "old", folder / "new")
    return attnkit.load(folder / "new", **options)


def padded(rows: list[list[int]], with_: int) -> Any:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[with_] * (longest - len(row))] for row in rows])


def ids_of(loaded: Any, texts: list[str]) -> list[list[int]]:
    config, tokenizer = loaded.model.config.text, loaded.texts.tokenizer
    return [[config.bos_id, *tokenizer.encode(text)[: LENGTH - 2], config.eos_id] for text in texts]


def pixels(side: int = 16) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(3, side, side, 3)).astype(np.float32)


def theirs(images: np.ndarray) -> Any:
    return torch.from_numpy(np.moveaxis(images, 3, 1).copy()).double()


def write_pictures(folder: Path, count: int = 2) -> list[Path]:
    rng = np.random.default_rng(8)
    files = [folder / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        Image.fromarray(rng.integers(0, 256, (30 + number, 21, 3), np.uint8)).save(file)
    return files


@pytest.mark.parametrize("old_end", [False, True])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_vectors_and_logits_are_those_of_the_library(shape: str, old_end: bool, tmp_path: Path) -> None:
    model = save_clip(tmp_path / "old", old_end=old_end, **SHAPES[shape]).double()
    loaded = converted(tmp_path)
    images = pixels(loaded.preprocessing.size)
    with torch.no_grad():
        ids = padded(ids_of(loaded, TEXTS), loaded.model.config.text.eos_id)
        expected = model(input_ids=ids, pixel_values=theirs(images))
    vectors = loaded.embed(TEXTS)
    np.testing.assert_allclose(vectors, expected.text_embeds, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    logits = loaded.model.labelled(vectors).logits(images)
    np.testing.assert_allclose(logits, expected.logits_per_image, atol=1e-4)
    assert np.ptp(logits, axis=0).max() > 0.1 and np.ptp(logits, axis=1).max() > 0.1


@pytest.mark.parametrize("old_end", [False, True])
def test_whose_state_is_that_of_a_text(old_end: bool, tmp_path: Path) -> None:
    """The old rule looks for the highest number, which need not be the end; the new one for the end."""
    model = save_clip(tmp_path / "old", old_end=old_end, more=2).double()
    loaded = converted(tmp_path)
    texts = ["a <more1> cat", "a <more0> dog <more1>", "a cat"]
    ids = ids_of(loaded, texts)
    assert [max(row) > loaded.model.config.text.eos_id for row in ids] == [True, True, False]
    with torch.no_grad():
        expected = [
            torch.nn.functional.normalize(model.get_text_features(torch.tensor([row])).pooler_output)[0] for row in ids
        ]
    np.testing.assert_allclose(loaded.embed(texts), np.stack(expected), atol=1e-5)
    assert loaded.model.config.text.pooling == ("highest" if old_end else "end")


@pytest.mark.parametrize("saved", [False, True])
def test_ids_are_those_of_the_library(saved: bool, tmp_path: Path) -> None:
    """Of vocab.json and merges.txt, and of the tokenizer.json that the library makes of them."""
    save_clip(tmp_path / "old")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path / "old")
    if saved:
        for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
            (tmp_path / "old" / name).unlink()
        tokenizer.save_pretrained(tmp_path / "old")
        assert (tmp_path / "old" / "tokenizer.json").is_file()
    expected = tokenizer(TEXTS, truncation=True, max_length=LENGTH)["input_ids"]
    loaded = converted(tmp_path)
    assert ids_of(loaded, TEXTS) == expected
    assert loaded.texts.tokenizer.pieces(expected[0])[1:-1] == ["▁a", "▁cat"]


def test_probabilities_of_a_photo_are_those_of_the_library(tmp_path: Path) -> None:
    model = save_clip(tmp_path / "old")
    files = write_pictures(tmp_path)
    loaded = converted(tmp_path)
    labels, template = ["cat", "dog", "far too long " * 10], "a photo of {}!"
    table = json.loads((tmp_path / "old" / "preprocessor_config.json").read_text())
    images = transformers.CLIPImageProcessorPil.from_dict(table)([Image.open(file) for file in files])["pixel_values"]
    texts = transformers.CLIPTokenizer.from_pretrained(tmp_path / "old")(
        [template.replace("{}", label) for label in labels], padding=True, truncation=True, max_length=LENGTH,
        return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        result = model(**texts, pixel_values=torch.from_numpy(np.stack(images)))
    expected = result.logits_per_image.softmax(dim=1).numpy()
    found = loaded.classify(files, labels=labels, template=template, top=9, attention=True)
    for row, each in zip(expected, found, strict=True):
        assert [label for label, _ in each.top] == [labels[place] for place in np.argsort(-row)]
        np.testing.assert_allclose([probability for _, probability in each.top], np.sort(row)[::-1], atol=1e-4)
        assert each.attention.shape == (2, 2) and abs(each.attention.sum() - 1) < 1e-5
    np.testing.assert_allclose(loaded.embed_images(files, batch_images=1), result.image_embeds, atol=1e-5)
    assert loaded.embed_images([]).shape == (0, 8)


def test_attention_of_both_encoders_is_that_of_the_library(tmp_path: Path) -> None:
    model = save_clip(tmp_path / "old")
    [file] = write_pictures(tmp_path, 1)
    loaded = converted(tmp_path)
    prepare = loaded.preprocessing
    images = prepare.array(prepare.fitted(prepare.read(file)))[None]
    with torch.no_grad():
        result = model(
            input_ids=torch.tensor(ids_of(loaded, ["a cat"])), pixel_values=theirs(images).float(),
            output_attentions=True,
        )  # fmt: skip
    of_text, of_image = loaded.attention("a cat"), loaded.attention(str(file))
    for maps, output in ((of_text, result.text_model_output), (of_image, result.vision_model_output)):
        assert list(maps) == ["encoder", "rollout"]
        np.testing.assert_allclose(maps["encoder"].weights, torch.cat(output.attentions), atol=1e-5)
    assert of_image["encoder"].queries == ("class", "1,1", "1,2", "2,1", "2,2")
    assert np.triu(of_text["encoder"].weights[0, 0], 1).max() == 0
    labelled = loaded.labelled(["a cat", "a dog"]).attention(file)
    np.testing.assert_array_equal(labelled["encoder"].weights, of_image["encoder"].weights)
    with pytest.raises(OSError, match=r"missing\.png"):
        loaded.attention("missing.png")


@pytest.mark.parametrize("name", ["CLIPTextModel", "CLIPTextModelWithProjection"])
def test_an_encoder_of_texts_alone(name: str, tmp_path: Path) -> None:
    model = save_clip(tmp_path / "old", name).double()
    loaded = converted(tmp_path)
    config = loaded.model.config
    rows = [[config.bos_id, *loaded.tokenizer.encode(text)[: LENGTH - 2], config.eos_id] for text in TEXTS]
    with torch.no_grad():
        result = model(padded(rows, config.eos_id))
    expected = result.text_embeds if name.endswith("Projection") else result.pooler_output
    np.testing.assert_allclose(loaded.embed(TEXTS, normalize=False), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["CLIPVisionModel", "CLIPVisionModelWithProjection"])
def test_an_encoder_of_images_alone(name: str, tmp_path: Path) -> None:
    model = save_clip(tmp_path / "old", name).double()
    convert(tmp_path / "old", tmp_path / "new")
    states, _, grid = load_model(tmp_path / "new").encode(pixels())  # type: ignore[union-attr]
    own = getattr(model, "vision_model", model)
    with torch.no_grad():
        expected = own.post_layernorm(own(theirs(pixels())).last_hidden_state)[:, 1:]
    assert grid == (2, 2)
    np.testing.assert_allclose(states.numpy().reshape(expected.shape), expected, atol=1e-5)


def test_other_precisions_and_the_task_embed(tmp_path: Path) -> None:
    save_clip(tmp_path / "old", width=32)
    exact = converted(tmp_path)
    files = write_pictures(tmp_path)
    for precision in ("int8", "bf16"):
        loaded = attnkit.load(tmp_path / "new", precision)  # type: ignore[call-overload]
        for found, expected in (
            (loaded.embed(TEXTS), exact.embed(TEXTS)),
            (loaded.embed_images(files), exact.embed_images(files)),
        ):
            assert (found * expected).sum(axis=1).min() > 0.95
            assert not np.array_equal(found, expected)
    embedder = attnkit.load(tmp_path / "new", task="embed")
    np.testing.assert_array_equal(embedder.embed(TEXTS), exact.embed(TEXTS))
    with pytest.raises(ValueError, match="expected a model of the task 'caption', got one of 'classify'"):
        attnkit.load(tmp_path / "new", task="caption")
    found = inspect(tmp_path / "new")
    assert (found.type, found.reads, found.tokenizer is not None) == ("clip", "images-and-texts", True)


@pytest.mark.parametrize(
    ("labels", "template", "message"),
    [
        ([], "{}", "labels: expected one or more"),
        (["a", " "], "{}", "labels: expected each to be another text"),
        (["a", "b", "a"], "{}", "labels: expected each to be another text, got 'a'"),
        (["a", "b"], "a photo", "template: expected one {}"),
        (["a", "b"], "{} {}", "template: expected one {}"),
    ],
)
def test_labels_that_are_none(labels: list[str], template: str, message: str, tmp_path: Path) -> None:
    save_clip(tmp_path / "old")
    with pytest.raises(ValueError, match=message):
        converted(tmp_path).labelled(labels, template)


def test_a_file_of_before_2023(tmp_path: Path) -> None:
    """It has each table twice, of which the second counts, and positions as tensors of numbers."""
    from safetensors.numpy import load_file, save_file

    save_clip(tmp_path / "old", old_end=True)
    file, weights = tmp_path / "old" / "config.json", tmp_path / "old" / "model.safetensors"
    table = json.loads(file.read_text())
    for name in ("text", "vision"):
        table[f"{name}_config_dict"] = table[f"{name}_config"]
        table[f"{name}_config"] = {**table[f"{name}_config"], "num_hidden_layers": 7}
    file.write_text(json.dumps(table))
    save_file(
        {**load_file(weights), "text_model.embeddings.position_ids": np.arange(LENGTH, dtype=np.int64)[None]}, weights
    )
    assert convert(tmp_path / "old", tmp_path / "new").left_out == []


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "no table": ({"text_config": 3}, "text_config"),
    "width of nothing": ({"text_config.hidden_size": 0}, "hidden_size"),
    "a negative width": ({"vision_config.hidden_size": -24}, "hidden_size"),
    "no number": ({"projection_dim": "eight"}, "projection_dim"),
    "a huge width": ({"text_config.hidden_size": 2**40}, "larger model than its tensors|shape"),
    "a huge projection": ({"projection_dim": 2**40}, "larger model than its tensors"),
    "a huge vocabulary": ({"text_config.vocab_size": 2**40}, "larger model than its tensors"),
    "many layers": ({"vision_config.num_hidden_layers": 1000}, "larger model than its tensors|expected a tensor"),
    "too many layers": ({"vision_config.num_hidden_layers": 10**9}, "num_hidden_layers"),
    "a vocabulary that is too small": ({"text_config.vocab_size": 100}, "expected at most 100 entries"),
    "another activation": ({"text_config.hidden_act": "mish"}, "hidden_act"),
    "heads that do not fit": ({"text_config.num_attention_heads": 3}, "heads"),
    "patches that do not fit": ({"vision_config.patch_size": 7}, "patch_size"),
    "another size of images": ({"vision_config.image_size": 32}, "image_size"),
    "another end": ({"text_config.eos_token_id": 7}, "eos_token_id: expected .* got 7"),
    "no room": ({"text_config.max_position_embeddings": 2}, "max_length"),
    "another model": ({"architectures": ["CLIPForImageClassification"]}, "CLIPForImageClassification"),
    "another family": ({"model_type": "x_clip"}, "expected a model_type of .* got 'x_clip'"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_broken_configuration_is_one_clear_line(change: str, tmp_path: Path) -> None:
    save_clip(tmp_path / "old")
    file = tmp_path / "old" / "config.json"
    table = json.loads(file.read_text())
    changes, message = CHANGES[change]
    for key, value in changes.items():
        *path, last = key.split(".")
        place = table[path[0]] if path else table
        place[last] = value
    file.write_text(json.dumps(table))
    with pytest.raises(ValueError, match=message) as raised:
        convert(tmp_path / "old", tmp_path / "new")
    assert str(raised.value).startswith("[convert]") and "\n" not in str(raised.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("logit_scale", None),
        ("logit_scale", (1,)),
        ("visual_projection.weight", (24, 8)),
        ("vision_model.embeddings.class_embedding", (1, 24)),
        ("vision_model.embeddings.position_embedding.weight", (6, 24)),
        ("text_model.encoder.layers.1.mlp.fc2.bias", None),
    ],
)
def test_tensors_that_do_not_fit(name: str, shape: tuple[int, ...] | None, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    save_clip(tmp_path / "old")
    file = tmp_path / "old" / "model.safetensors"
    tensors = load_file(file)
    del tensors[name]
    if shape is not None:
        tensors[name] = np.zeros(shape, np.float32)
    save_file(tensors, file)
    with pytest.raises(ValueError, match=name.replace(".", r"\.")) as raised:
        convert(tmp_path / "old", tmp_path / "new")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", '{"a": "b"}', "expected a number for each piece"),
        ("vocab.json", '{"a": 0}', "expected the token"),
        ("merges.txt", "a b c\n", "expected two pieces in line 1"),
        ("merges.txt", "qq zz\n", "vocab.json"),
        ("tokenizer.json", "[]", "tokenizer.json"),
        ("tokenizer_config.json", '{"tokenizer_class": "T5Tokenizer"}', "tokenizer_class"),
    ],
)
def test_a_broken_tokenizer(name: str, content: str, message: str, tmp_path: Path) -> None:
    save_clip(tmp_path / "old")
    (tmp_path / "old" / name).write_text(content)
    with pytest.raises(ValueError, match=message) as raised:
        convert(tmp_path / "old", tmp_path / "new")
    assert "\n" not in str(raised.value)


def test_a_tokenizer_without_an_end(tmp_path: Path) -> None:
    """There is no state to take where no token stands behind a text."""
    import tokenizers

    save_clip(tmp_path / "old", old_end=True)
    entries = write_tokenizer(tmp_path / "old")
    tokenizers.Tokenizer(tokenizers.models.BPE(entries, [])).save(str(tmp_path / "old" / "tokenizer.json"))
    with pytest.raises(ValueError, match="eos_id: expected one"):
        convert(tmp_path / "old", tmp_path / "new")
