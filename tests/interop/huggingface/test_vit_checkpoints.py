"""ViT and DeiT of transformers: our numbers are theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vit_checkpoints import changed, read_weights, save_vit, write_weights

import attnkit
from attnkit.interop.convert import convert

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")


def images(side: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(2, side, side, channels)).astype(np.float32)


def theirs(model: Any, pixels: np.ndarray, **options: Any) -> Any:
    """Their result in float64, of images as we have them, [B, rows, columns, channels]."""
    with torch.no_grad():
        return model.double()(torch.from_numpy(np.moveaxis(pixels, 3, 1).copy()).double(), **options)


def converted(folder: Path) -> Any:
    """Makes `new` of `old`."""
    convert(folder / "old", folder / "new")
    return attnkit.load(folder / "new")


SHAPES: dict[str, dict[str, Any]] = {
    "small": {},
    "no biases": {"qkv_bias": False, "hidden_act": "relu", "layer_norm_eps": 1e-3},
    "grey": {"num_channels": 1, "image_size": [12, 12], "patch_size": 6},
    "wide": {"hidden_size": 32, "num_attention_heads": 1, "hidden_act": "quick_gelu", "num_hidden_layers": 3},
}


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("name", ["ViTForImageClassification", "DeiTForImageClassificationWithTeacher"])
def test_logits_are_those_of_the_library(name: str, shape: str, tmp_path: Path) -> None:
    options = SHAPES[shape]
    model = save_vit(tmp_path / "old", name, **options)
    pixels = images(12 if shape == "grey" else 16, options.get("num_channels", 3))
    expected = theirs(model, pixels).logits.numpy()
    np.testing.assert_allclose(converted(tmp_path).model(pixels).numpy(), expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1


@pytest.mark.parametrize("name", ["ViTModel", "DeiTModel", "DeiTForImageClassification"])
def test_states_are_those_of_the_library(name: str, tmp_path: Path) -> None:
    model = save_vit(tmp_path / "old", name)
    result = theirs(getattr(model, "deit", model), images())
    states, offsets, grid = converted(tmp_path).model.encode(images())
    tokens = 1 if name == "ViTModel" else 2
    expected = result.last_hidden_state.numpy()[:, tokens:].reshape(states.shape)
    assert grid == (4, 4) and offsets.tolist() == [0, 16, 32]
    np.testing.assert_allclose(states.numpy(), expected, atol=1e-5)


def test_names_of_version_5_are_read_too(tmp_path: Path) -> None:
    model = save_vit(tmp_path / "old")
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    assert "vit.layers.0.attention.q_proj.weight" in weights  # and not what `save_pretrained` writes
    assert not weights.keys() & {name for name in read_weights(tmp_path / "old") if ".layer." in name}
    write_weights(tmp_path / "old", weights)
    found = converted(tmp_path).model(images()).numpy()
    np.testing.assert_allclose(found, theirs(model, images()).logits.numpy(), atol=1e-4)


@pytest.mark.parametrize("name", ["ViTForImageClassification", "DeiTForImageClassificationWithTeacher"])
def test_attention_is_that_of_the_library(name: str, tmp_path: Path) -> None:
    model = save_vit(tmp_path / "old", name, attn_implementation="eager")
    loaded = converted(tmp_path)
    picture = np.random.default_rng(1).integers(0, 256, (20, 31, 3), np.uint8)
    maps = loaded.attention(picture)
    prepare = loaded.preprocessing
    pixels = prepare.array(prepare.fitted(loaded.read(picture)))[None]
    expected = np.stack([layer[0].numpy() for layer in theirs(model, pixels, output_attentions=True).attentions])
    np.testing.assert_allclose(maps["encoder"].weights, expected, atol=1e-5)
    front = ["class"] if name.startswith("ViT") else ["class", "distillation"]
    assert list(maps["encoder"].queries[: len(front) + 1]) == [*front, "1,1"]
    assert maps["rollout"].weights.shape == (1, 1, *expected.shape[2:])


def test_a_photo_gets_the_labels_of_the_checkpoint(tmp_path: Path) -> None:
    labels = ["tench", "goldfish", "great white shark", "hen", "cock"]
    model = save_vit(tmp_path / "old", id2label=dict(enumerate(labels)))
    loaded = converted(tmp_path)
    picture = np.random.default_rng(1).integers(0, 256, (40, 31, 3), np.uint8)
    module = pytest.importorskip("transformers.models.vit.image_processing_pil_vit")
    processor = module.ViTImageProcessorPil.from_pretrained(tmp_path / "old")
    with torch.no_grad():
        logits = model.double()(torch.from_numpy(np.stack(processor(picture)["pixel_values"])).double()).logits[0]
    probabilities = torch.softmax(logits, 0).numpy()
    [result] = loaded.classify([picture], top=3, attention=True)
    assert [name for name, _ in result.top] == [labels[number] for number in np.argsort(-probabilities)[:3]]
    np.testing.assert_allclose([share for _, share in result.top], np.sort(probabilities)[::-1][:3], atol=1e-5)
    assert result.attention is not None and result.attention.shape == (4, 4)
    for precision in ("int8", "bf16"):
        [narrow] = attnkit.load(tmp_path / "new", precision=precision).classify([picture])
        assert narrow.label == result.label and abs(narrow.probability - result.probability) < 0.05


def test_distilled_models_look_with_the_tokens_that_they_classify(tmp_path: Path) -> None:
    save_vit(tmp_path / "old", "DeiTForImageClassificationWithTeacher")
    save_vit(tmp_path / "one", "DeiTForImageClassification")
    convert(tmp_path / "one", tmp_path / "single")
    both, one = converted(tmp_path), attnkit.load(tmp_path / "single")
    picture = np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8)
    for loaded, tokens in ((both, 2), (one, 1)):
        [result] = loaded.classify([picture], attention=True)
        rollout = loaded.attention(picture)["rollout"].weights[0, 0]
        expected = rollout[:tokens, 2:].mean(axis=0)
        np.testing.assert_allclose(result.attention.ravel(), expected / expected.sum(), atol=1e-6)


def test_an_encoder_shows_its_attention_and_classifies_nothing(tmp_path: Path) -> None:
    save_vit(tmp_path / "old", "ViTModel")
    result = convert(tmp_path / "old", tmp_path / "new")
    assert [line for line in result.left_out if "pooler.dense.bias" in line]
    loaded = attnkit.load(tmp_path / "new")
    picture = np.zeros((16, 16, 3), np.uint8)
    assert loaded.attention(picture)["encoder"].weights.shape == (2, 3, 17, 17)
    with pytest.raises(ValueError, match=r"^\[classify\] expected a classifier, got an encoder of images"):
        loaded.classify([picture])


# ----- Checkpoints that are none

CONFIGS: dict[str, dict[str, Any]] = {
    "architectures": {"architectures": ["ViTForMaskedImageModeling"]},
    "hidden_size": {"hidden_size": 25},
    "hidden_size, huge": {"hidden_size": 3 * 2**40},
    "hidden_size, a word": {"hidden_size": "24"},
    "num_hidden_layers": {"num_hidden_layers": 2**40},
    "num_hidden_layers, more": {"num_hidden_layers": 3},
    "num_attention_heads": {"num_attention_heads": 0},
    "intermediate_size": {"intermediate_size": 41},
    "image_size": {"image_size": 18},
    "image_size, other": {"image_size": 32},
    "image_size, oblong": {"image_size": [16, 32]},
    "image_size, none": {"image_size": []},
    "patch_size": {"patch_size": -4},
    "patch_size, huge": {"patch_size": 2**50},
    "num_channels": {"num_channels": 2},
    "hidden_act": {"hidden_act": "mish"},
    "layer_norm_eps": {"layer_norm_eps": 0},
    "id2label": {"id2label": {"0": "a", "2": "b"}},
    "id2label, more": {"id2label": {str(number): "a" for number in range(6)}},
    "problem_type": {"problem_type": "multi_label_classification"},
}


@pytest.mark.parametrize("which", list(CONFIGS))
def test_a_configuration_that_does_not_fit_is_one_line(which: str, tmp_path: Path) -> None:
    save_vit(tmp_path / "old")
    changed(tmp_path / "old" / "config.json", **CONFIGS[which])
    check_refused(tmp_path)


def check_refused(folder: Path) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        convert(folder / "old", folder / "new")
    message = str(caught.value)
    assert message.startswith("[convert] ") and "\n" not in message and len(message) < 1000
    assert not (folder / "new").exists()
    return message


@pytest.mark.parametrize("wrong", ["missing", "misshapen", "image processor", "size of the images"])
def test_files_that_do_not_fit_are_one_line(wrong: str, tmp_path: Path) -> None:
    save_vit(tmp_path / "old")
    weights, processor = read_weights(tmp_path / "old"), tmp_path / "old" / "preprocessor_config.json"
    if wrong == "missing":
        del weights["vit.embeddings.position_embeddings"]
    if wrong == "misshapen":
        weights["vit.embeddings.position_embeddings"] = weights["vit.embeddings.position_embeddings"][:, 1:]
    write_weights(tmp_path / "old", weights)
    if wrong == "image processor":
        processor.unlink()
    if wrong == "size of the images":
        changed(processor, size=20)
    expected = {
        "missing": "position_embeddings, which the checkpoint does not have",
        "misshapen": "position_embeddings of shape [1, 17, 24], got [1, 16, 24]",
        "image processor": "preprocessor_config.json: no such file",
        "size of the images": "image_size: expected that of the images, 20 x 20 as they are prepared, got 16",
    }
    assert expected[wrong] in check_refused(tmp_path)
