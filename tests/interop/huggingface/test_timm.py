"""ViT and DeiT in timm's layout. The right values are those of transformers' models, renamed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Resampling
from vit_checkpoints import changed, save_timm, save_vit, write_weights

import attnkit
from attnkit.interop.convert import convert

pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

EPS = {"layer_norm_eps": 1e-6}  # timm's


def images() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(2, 16, 16, 3)).astype(np.float32)


def saved(folder: Path, name: str = "ViTForImageClassification", **keys: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """The model of transformers, and the weights in timm's layout that `old` has."""
    model = save_vit(folder / "source", name, **EPS)
    return model, save_timm(folder / "source", folder / "old", **keys)


def converted(folder: Path) -> Any:
    convert(folder / "old", folder / "new")
    return attnkit.load(folder / "new")


def logits(model: Any) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = model.double()(torch.from_numpy(np.moveaxis(images(), 3, 1).copy()).double()).logits.numpy()
    return found


@pytest.mark.parametrize("name", ["ViTForImageClassification", "DeiTForImageClassificationWithTeacher"])
def test_logits_are_those_of_the_same_weights(name: str, tmp_path: Path) -> None:
    model, _ = saved(tmp_path, name)
    loaded = converted(tmp_path)
    np.testing.assert_allclose(loaded.model(images()).numpy(), logits(model), atol=1e-4)
    assert loaded.labels == ["0", "1", "2", "3", "4"]


def test_layer_scale_multiplies_what_a_sublayer_gives(tmp_path: Path) -> None:
    model, weights = saved(tmp_path)
    parts = {"ls1.gamma": "attn.proj", "ls2.gamma": "mlp.fc2"}
    for name, part in parts.items():
        gamma = np.random.default_rng(1).normal(size=24).astype(np.float32)
        weights[f"blocks.1.{name}"] = gamma
        weights[f"blocks.1.{part}.weight"] = weights[f"blocks.1.{part}.weight"] / gamma[:, None]
        weights[f"blocks.1.{part}.bias"] = weights[f"blocks.1.{part}.bias"] / gamma
    write_weights(tmp_path / "old", weights)
    np.testing.assert_allclose(converted(tmp_path).model(images()).numpy(), logits(model), atol=1e-4)


def test_a_class_token_without_a_position(tmp_path: Path) -> None:
    model, weights = saved(tmp_path)
    weights["cls_token"] = weights["cls_token"] + weights["pos_embed"][:, :1]
    weights["pos_embed"] = weights["pos_embed"][:, 1:]
    write_weights(tmp_path / "old", weights)
    np.testing.assert_allclose(converted(tmp_path).model(images()).numpy(), logits(model), atol=1e-4)


@pytest.mark.parametrize("placed", [True, False])
@pytest.mark.parametrize("pooling", ["token", "avg", "avg without a class token"])
def test_registers_stand_behind_the_class_token(pooling: str, placed: bool, tmp_path: Path) -> None:
    """With positions of their own, or none, as the class token then has none either. The right values are those of
    transformers' layers, which are given the tokens that timm puts together."""
    model, weights = saved(tmp_path, global_pool=pooling.split()[0])
    rng = np.random.default_rng(2)
    registers, table = rng.normal(size=(1, 3, 24)).astype(np.float32), weights["pos_embed"]
    of_patches = table[:, 1:]
    before = [] if "without" in pooling else [weights["cls_token"]]
    tokens = np.concatenate([*before, registers], axis=1)
    own = rng.normal(size=tokens.shape).astype(np.float32) if placed else np.zeros_like(tokens)
    weights["reg_token"] = registers
    weights["pos_embed"] = np.concatenate([own, of_patches], axis=1) if placed else of_patches
    if not before:
        del weights["cls_token"]
    write_weights(tmp_path / "old", weights)
    loaded = converted(tmp_path)
    base = model.double().vit
    with torch.no_grad():
        pixels = torch.from_numpy(np.moveaxis(images(), 3, 1).copy()).double()
        embedded = base.embeddings(pixels)[:, 1:]
        first = torch.from_numpy(tokens + own).double().expand(2, -1, -1)
        base.embeddings.forward = lambda *arguments, **options: torch.cat([first, embedded], dim=1)
        states = base(pixels).last_hidden_state
        pooled = states[:, 0] if pooling == "token" else states[:, tokens.shape[1] :].mean(dim=1)
        expected = model.classifier(pooled)
    np.testing.assert_allclose(loaded.model(images()).numpy(), expected, atol=1e-4)
    np.testing.assert_allclose(loaded.model.encode(images())[0], states[:, tokens.shape[1] :].flatten(0, 1), atol=1e-5)
    picture = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    names = loaded.attention(picture)["encoder"].queries
    assert names[: len(names) - 16] == (*["class"] * len(before), "register 1", "register 2", "register 3")
    [result] = loaded.classify([picture], attention=True)
    assert result.attention.shape == (4, 4) and result.attention.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("token", [True, False])
@pytest.mark.parametrize("norm", ["norm", "fc_norm"])
def test_the_mean_of_the_patches(norm: str, token: bool, tmp_path: Path) -> None:
    _, weights = saved(tmp_path, global_pool="avg")
    for kind in ("weight", "bias"):
        weights[f"{norm}.{kind}"] = weights.pop(f"norm.{kind}")
    if not token:
        del weights["cls_token"]
        weights["pos_embed"] = weights["pos_embed"][:, 1:]
    write_weights(tmp_path / "old", weights)
    loaded = converted(tmp_path)
    states = loaded.model.encode(images())[0].numpy().reshape(2, 16, 24).astype(np.float64).mean(axis=1)
    if norm == "fc_norm":
        centred = states - states.mean(axis=1, keepdims=True)
        states = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-6)
        states = states * weights["fc_norm.weight"] + weights["fc_norm.bias"]
    expected = states @ weights["head.weight"].T + weights["head.bias"]
    np.testing.assert_allclose(loaded.model(images()).numpy(), expected, atol=1e-4)
    assert loaded.model.attention(images()).shape == (2, 4, 4)


def test_classes_have_the_words_of_the_file(tmp_path: Path) -> None:
    names, words = ["n1", "n2", "n3", "n4", "n5"], {"n1": "tench", "n2": "goldfish"}
    saved(tmp_path, label_names=names, label_descriptions=words)
    assert converted(tmp_path).labels == ["tench", "goldfish", "n3", "n4", "n5"]


def test_an_encoder_alone(tmp_path: Path) -> None:
    _, weights = saved(tmp_path, num_classes=0)
    write_weights(tmp_path / "old", {name: each for name, each in weights.items() if not name.startswith("head.")})
    loaded = converted(tmp_path)
    assert loaded.labels == [] and loaded.attention(np.zeros((9, 9, 3), np.uint8))["encoder"].weights.shape[0] == 2


# ----- Images


def theirs(picture: Image.Image, resized: tuple[int, int]) -> np.ndarray:
    """Bilinear, then the middle as torchvision cuts it out: half of what is too much, rounded to the nearest even."""
    whole = picture.resize(resized, Resampling.BILINEAR)
    left, top = (round((side - 16) / 2) for side in resized)
    pixels = np.asarray(whole.crop((left, top, left + 16, top + 16)), np.float64) / 255
    return (pixels - [0.5, 0.4, 0.3]) / [0.5, 0.25, 0.5]


@pytest.mark.parametrize("size", [(40, 31), (31, 40), (17, 17), (200, 19), (5, 3)])
@pytest.mark.parametrize("percent", [0.9, 1.0, 0.7])
@pytest.mark.parametrize("mode", ["center", "squash"])
def test_images_are_resized_and_cut_as_by_timm(
    mode: str, percent: float, size: tuple[int, int], tmp_path: Path
) -> None:
    saved(tmp_path)
    cfg = {
        "input_size": [3, 16, 16], "interpolation": "bilinear", "crop_pct": percent, "crop_mode": mode,
        "mean": [0.5, 0.4, 0.3], "std": [0.5, 0.25, 0.5],
    }  # fmt: skip
    changed(tmp_path / "old" / "config.json", pretrained_cfg=cfg)
    prepare = converted(tmp_path).preprocessing
    noise = np.random.default_rng(2).integers(0, 256, (size[1], size[0], 3), np.uint8)
    picture = Image.fromarray(noise)
    edge = math.floor(16 / percent)
    resized = (edge, edge)
    if mode == "center":
        resized = (edge, int(edge * size[1] / size[0])) if size[0] <= size[1] else (int(edge * size[0] / size[1]), edge)
    expected = theirs(picture, resized)
    np.testing.assert_allclose(prepare.array(prepare.fitted(picture)), expected, atol=1e-4)


# ----- Checkpoints that are none

CONFIGS: dict[str, dict[str, Any]] = {
    "architecture": {"architecture": "resnet50"},
    "architecture, unknown heads": {"architecture": "vit_so400m_patch14_siglip_224"},
    "architecture, no text": {"architecture": 7},
    "global_pool": {"global_pool": "map"},
    "num_classes": {"num_classes": 6},
    "num_classes, negative": {"num_classes": -1},
    "num_heads": {"model_args": {"num_heads": 7}},
    "num_heads, huge": {"model_args": {"num_heads": 2**60}},
    "crop_mode": {"pretrained_cfg": {"crop_mode": "border"}},
    "crop_pct": {"pretrained_cfg": {"crop_pct": 0}},
    "input_size": {"pretrained_cfg": {"input_size": [3, 32, 32]}},
    "input_size, huge": {"pretrained_cfg": {"input_size": [3, 2**40, 2**40]}},
    "input_size, oblong": {"pretrained_cfg": {"input_size": [3, 16, 32]}},
    "std": {"pretrained_cfg": {"input_size": [3, 16, 16], "std": [0.0, 1.0, 1.0]}},
    "label_names": {"label_names": ["one"]},
}


@pytest.mark.parametrize("which", list(CONFIGS))
def test_a_configuration_that_does_not_fit_is_one_line(which: str, tmp_path: Path) -> None:
    saved(tmp_path)
    changed(tmp_path / "old" / "config.json", **CONFIGS[which])
    check_refused(tmp_path)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("reg_token", (4, 24), "expected a tensor reg_token with 3 sides"),
        ("reg_token", (1, 4, 24), "expected square patches of a square, got (4, 4) and 17 positions"),
        ("blocks.0.attn.q_norm.weight", (8,), "with a tensor blocks.0.attn.q_norm.weight"),
        ("pos_embed", (1, 19, 24), "expected square patches of a square"),
        ("pos_embed", (17, 24), "expected a tensor pos_embed with 3 sides"),
        ("patch_embed.proj.weight", (24, 3, 4, 5), "expected square patches of a square"),
        ("patch_embed.proj.weight", (24, 48), "expected a tensor patch_embed.proj.weight with 4 sides"),
        ("blocks.0.attn.qkv.weight", (24, 24), "blocks.0.attn.qkv.weight of shape [72, 24], got [24, 24]"),
        ("blocks.9999999999.norm1.weight", (24,), "with a tensor blocks.9999999999.norm1.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_one_line(name: str, shape: tuple[int, ...], expected: str, tmp_path: Path) -> None:
    _, weights = saved(tmp_path)
    write_weights(tmp_path / "old", {**weights, name: np.zeros(shape, np.float32)})
    assert expected in check_refused(tmp_path)


def check_refused(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        convert(folder / "old", folder / "new")
    message = str(caught.value)
    assert message.startswith("[convert] ") and "\n" not in message and len(message) < 1000
    assert not (folder / "new").exists()
    return message
