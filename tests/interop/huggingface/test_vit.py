"""ViT and DeiT of transformers: our numbers are theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.vit_checkpoints import save_vit

import attnkit
from attnkit.interop.convert import convert

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")


def images(side: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(2, side, side, channels)).astype(np.float32)


def theirs(model: Any, pixels: np.ndarray) -> Any:
    """Their result in float64, of images as we have them, [B, rows, columns, channels]."""
    with torch.no_grad():
        return model.double()(torch.from_numpy(np.moveaxis(pixels, 3, 1).copy()).double())


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
    model = save_vit(tmp_path / "old", name, **SHAPES[shape])
    side = 12 if shape == "grey" else 16
    if shape == "grey":
        from support.vit_checkpoints import write_processor

        write_processor(tmp_path / "old", 12, image_mean=[0.5], image_std=[0.5])
    pixels = images(side, SHAPES[shape].get("num_channels", 3))
    expected = theirs(model, pixels).logits.numpy()
    found = converted(tmp_path).model(pixels).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).max() > 0.1


@pytest.mark.parametrize("name", ["ViTModel", "DeiTModel", "DeiTForImageClassification"])
def test_states_are_those_of_the_library(name: str, tmp_path: Path) -> None:
    model = save_vit(tmp_path / "old", name)
    result = theirs(getattr(model, "deit", model), images())
    loaded = converted(tmp_path)
    states, offsets, grid = loaded.model.encode(images())
    tokens = 1 if name == "ViTModel" else 2
    expected = result.last_hidden_state.numpy()[:, tokens:].reshape(states.shape)
    assert grid == (4, 4) and offsets.tolist() == [0, 16, 32]
    np.testing.assert_allclose(states.numpy(), expected, atol=1e-5)
