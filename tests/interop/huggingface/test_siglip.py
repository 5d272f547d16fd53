"""Converted SigLIPs are those of transformers: ids, pixels, vectors, logits, and a probability for each label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import complaint, output
from PIL import Image

import attnkit
from attnkit.interop.convert import convert
from attnkit.models.files import load_model

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")
pytest.importorskip("google.protobuf")  # transformers' tokenizer of SigLIP needs it
torch.set_num_threads(1)  # its threads would spin beside ours

from siglip_checkpoints import LENGTH, save_siglip  # noqa: E402

TEXTS = [
    "a dog runs",
    "A MAN's  photo, 12 times!!",
    "",
    "  naïve 漢字 😀 it's, they've — don't\n",
    "far too long " * 10,
    "!?",
]
SHAPES: dict[str, dict[str, Any]] = {
    "small": {},
    "deep": {
        "text": {"num_hidden_layers": 4, "hidden_size": 16, "projection_size": 24, "hidden_act": "gelu"},
        "vision": {"num_hidden_layers": 1},
    },
    "wide": {
        "text": {"hidden_size": 32, "num_attention_heads": 1, "layer_norm_eps": 1e-3, "max_position_embeddings": 7},
        "vision": {"hidden_size": 32, "num_attention_heads": 4, "image_size": 12, "patch_size": 4},
    },
}


def converted(folder: Path, **options: Any) -> Any:
    """Makes `new` of `old`."""
    assert convert(folder / "old", folder / "new").left_out == []
    return attnkit.load(folder / "new", **options)


def read(folder: Path, texts: list[str], length: int = LENGTH) -> Any:
    """As transformers reads them, filled up."""
    tokenizer = transformers.SiglipTokenizer.from_pretrained(folder)
    return tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")["input_ids"]


def write_pictures(folder: Path, count: int = 3) -> list[Path]:
    rng = np.random.default_rng(8)
    files = [folder / f"{number}.png" for number in range(count)]
    for number, file in enumerate(files):
        Image.fromarray(rng.integers(0, 256, (30 + number, 21, 3), np.uint8)).save(file)
    return files


def pixels(folder: Path, files: list[Path]) -> Any:
    table = json.loads((folder / "preprocessor_config.json").read_text())
    processor = transformers.SiglipImageProcessorPil.from_dict(table)
    return torch.from_numpy(np.stack(processor([Image.open(file) for file in files])["pixel_values"]))


def test_ids_are_those_of_the_library(tmp_path: Path) -> None:
    """Small letters without punctuation, filled up by the end token; also of more tokens than there is room for."""
    save_siglip(tmp_path / "old")
    loaded = converted(tmp_path)
    expected = read(tmp_path / "old", TEXTS).tolist()
    assert [loaded.texts._read(0, text, "").ids for text in TEXTS] == expected
    assert all(len(row) == LENGTH for row in expected)
    assert loaded.texts._read(0, TEXTS[4], "").truncated and not loaded.texts._read(0, TEXTS[0], "").truncated


@pytest.mark.parametrize("shape", SHAPES)
def test_vectors_logits_and_pixels_are_those_of_the_library(shape: str, tmp_path: Path) -> None:
    model = save_siglip(tmp_path / "old", **SHAPES[shape])
    loaded = converted(tmp_path)
    files = write_pictures(tmp_path)
    prepare, images = loaded.preprocessing, pixels(tmp_path / "old", files)
    ours = np.stack([prepare.array(prepare.fitted(prepare.read(file))) for file in files])
    np.testing.assert_allclose(ours, images.permute(0, 2, 3, 1), atol=1e-6)
    ids = read(tmp_path / "old", TEXTS, loaded.model.config.text.max_length)
    with torch.no_grad():
        expected = model.double()(input_ids=ids, pixel_values=images.double())
    vectors = loaded.embed(TEXTS)
    np.testing.assert_allclose(vectors, expected.text_embeds, atol=1e-5)
    np.testing.assert_allclose(loaded.embed_images(files, batch_images=2), expected.image_embeds, atol=1e-5)
    logits = loaded.model.labelled(vectors).logits(ours)
    np.testing.assert_allclose(logits, expected.logits_per_image, atol=1e-4)
    offsets = np.arange(len(TEXTS) + 1, dtype=np.int32) * ids.shape[1]
    states = loaded.model.text.states(ids.numpy().reshape(-1).astype(np.int32), offsets).numpy()
    np.testing.assert_allclose(states, expected.text_model_output.last_hidden_state.flatten(0, 1), atol=1e-5)
    states = loaded.model.image.encode(ours)[0].numpy()
    np.testing.assert_allclose(states, expected.vision_model_output.last_hidden_state.flatten(0, 1), atol=1e-5)


def test_each_label_has_a_probability_of_its_own(tmp_path: Path) -> None:
    model = save_siglip(tmp_path / "old").double()
    files = write_pictures(tmp_path)
    loaded = converted(tmp_path)
    labels = ["a dog", "a man", "the house"]
    with torch.no_grad():
        ids = read(tmp_path / "old", [f"this is {label}." for label in labels])
        logits = model(input_ids=ids, pixel_values=pixels(tmp_path / "old", files).double()).logits_per_image
    expected = torch.sigmoid(logits).numpy()
    found = loaded.classify(files, labels=labels, template="this is {}.", top=3, attention=True)
    for each, row in zip(found, expected, strict=True):
        assert [label for label, _ in each.top] == [labels[place] for place in np.argsort(-row)]
        np.testing.assert_allclose([probability for _, probability in each.top], np.sort(row)[::-1], atol=1e-5)
        assert each.attention.shape == (2, 2) and each.attention.sum() == pytest.approx(1, abs=1e-5)
    alone = loaded.classify(files, labels=labels[:1], template="this is {}.")
    assert [each.probability for each in alone] == pytest.approx(expected[:, 0].tolist(), abs=1e-5)
    command = ("classify", tmp_path / "new", files[0], "--labels", ",".join(labels), "--jsonl", "--top", "3")
    line = json.loads(output(*command, "--prompt-template", "this is {}."))
    assert line["label"] == found[0].label
    assert line["probability"] == pytest.approx(found[0].probability, abs=1e-6)


def test_the_probe_is_where_attention_is_gathered(tmp_path: Path) -> None:
    """The map of an image is the probe's attention through the rollout of the layers."""
    save_siglip(tmp_path / "old")
    loaded = converted(tmp_path)
    image = loaded.model.image
    [file] = write_pictures(tmp_path, 1)
    prepare = loaded.preprocessing
    images = prepare.array(prepare.fitted(prepare.read(file)))[None]
    maps = loaded.attention(str(file))
    rollout = maps["rollout"].weights[0, 0].astype(np.float64)
    states = image.encode(images)[0].numpy().astype(np.float64)
    probe = {name: parameter.numpy().astype(np.float64) for name, parameter in image.probe_pooling.named_parameters()}
    query = probe["probe"][0] @ probe["attention.query.weight"].T + probe["attention.query.bias"]
    key = (states @ probe["attention.key_value.weight"].T + probe["attention.key_value.bias"])[:, :24]
    scores = np.einsum("hd,nhd->hn", query.reshape(3, 8), key.reshape(-1, 3, 8)) / 8**0.5
    seen = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert list(maps) == ["encoder", "rollout", "pooling"]
    np.testing.assert_allclose(maps["pooling"].weights[0, :, 0], seen, atol=1e-5)
    labelled = loaded.labelled(["a", "b"]).attention(str(file))
    np.testing.assert_array_equal(labelled["pooling"].weights, maps["pooling"].weights)
    np.testing.assert_allclose(image.attention(images)[0].reshape(-1), seen.mean(axis=0) @ rollout, atol=1e-5)


def test_encoders_alone(tmp_path: Path) -> None:
    text = save_siglip(tmp_path / "text" / "old", "SiglipTextModel").double()
    loaded = converted(tmp_path / "text")
    with torch.no_grad():
        expected = text(read(tmp_path / "text" / "old", TEXTS)).pooler_output
    np.testing.assert_allclose(loaded.embed(TEXTS, normalize=False), expected, atol=1e-5)
    for head in (True, False):
        folder = tmp_path / f"image {head}"
        image = save_siglip(folder / "old", "SiglipVisionModel", vision={"vision_use_head": head}).double()
        convert(folder / "old", folder / "new")
        images = np.random.default_rng(5).normal(size=(3, 16, 16, 3)).astype(np.float32)
        with torch.no_grad():
            result = image(torch.from_numpy(np.moveaxis(images, 3, 1).copy()).double())
        model: Any = load_model(folder / "new")
        np.testing.assert_allclose(model.encode(images)[0], result.last_hidden_state.flatten(0, 1), atol=1e-5)
        if head:
            np.testing.assert_allclose(model.vectors(images), result.pooler_output, atol=1e-5)


def test_other_precisions_and_evaluate(tmp_path: Path) -> None:
    save_siglip(tmp_path / "old")
    exact = converted(tmp_path)
    files = write_pictures(tmp_path)
    for precision in ("int8", "bf16"):
        loaded = attnkit.load(tmp_path / "new", precision)  # type: ignore[call-overload]
        for found, expected in (
            (loaded.embed(TEXTS), exact.embed(TEXTS)),
            (loaded.embed_images(files), exact.embed_images(files)),
        ):
            assert (found * expected).sum(axis=1).min() > 0.95 and not np.array_equal(found, expected)
    table = "image,label\n" + "".join(f"{file.name},{label}\n" for file, label in zip(files, "aba", strict=True))
    (tmp_path / "list.csv").write_text(table)
    report = json.loads(output("evaluate", tmp_path / "new", "--source", tmp_path / "list.csv", "--json"))
    right = [each.label == label for each, label in zip(exact.classify(files, labels=["a", "b"]), "aba", strict=True)]
    assert report["accuracy"] == pytest.approx(100 * np.mean(right))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_config.hidden_size": 0}, "hidden_size"),
        ({"text_config.hidden_size": 2**40}, "larger model than its tensors"),
        ({"text_config.projection_size": 16}, "image.d_model: expected 16"),
        ({"text_config.max_position_embeddings": 1}, "max_length"),
        ({"text_config.vocab_size": 10}, "expected at most 10 entries"),
        ({"vision_config.vision_use_head": False}, "vision_use_head: expected true"),
        ({"vision_config.patch_size": 7}, "patch_size"),
        ({"vision_config.image_size": 32}, "image_size"),
        ({"vision_config": 3}, "vision_config"),
        ({"architectures": ["SiglipForImageClassification"]}, "expected both encoders of SigLIP"),
    ],
)
def test_a_broken_configuration_is_one_clear_line(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_siglip(tmp_path / "old")
    file = tmp_path / "old" / "config.json"
    table = json.loads(file.read_text())
    for key, value in change.items():
        *path, last = key.split(".")
        place = table[path[0]] if path else table
        place[last] = value
    file.write_text(json.dumps(table))
    assert message in complaint("convert", tmp_path / "old", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("spiece.model", "no model", "spiece.model"),
        ("tokenizer_config.json", '{"tokenizer_class": "T5Tokenizer"}', "tokenizer_class"),
        ("tokenizer_config.json", '{"pad_token": "<no>"}', "expected the token '<no>'"),
    ],
)
def test_a_broken_tokenizer(name: str, content: str, message: str, tmp_path: Path) -> None:
    save_siglip(tmp_path / "old")
    (tmp_path / "old" / name).write_text(content)
    assert message in complaint("convert", tmp_path / "old", tmp_path / "new")
