"""Model directories whose weights are bfloat16: what products pack and embeddings look up stays so in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept_models import MODELS, outputs

import attnkit
from attnkit.models.files import load_model, save_model
from attnkit.weights import WeightsFile, load_weights, save_weights


def in_bfloat16(source: Path, to: Path, widened: bool) -> Path:
    """A copy whose weights are rounded to bfloat16, and kept so or as float32."""
    shutil.copytree(source, to)
    state = {
        name: attnkit.tensor(array, dtype="bfloat16") for name, array in load_weights(to / "model.safetensors").items()
    }
    if widened:
        state = {name: x.to("float32") for name, x in state.items()}
    save_weights(state, to / "model.safetensors")
    return to


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_a_model_says_what_its_widened_weights_say(source: Path, precision: Any, tmp_path: Path) -> None:
    said = [
        outputs(attnkit.load(in_bfloat16(source, tmp_path / str(widened), widened), precision=precision))
        for widened in (False, True)
    ]
    assert said[0] == said[1]


@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_matrices_stay_as_they_are_in_the_file(source: Path, tmp_path: Path) -> None:
    model = load_model(in_bfloat16(source, tmp_path / "model", widened=False))
    kinds = {name: parameter.dtype for name, parameter in model.named_parameters()}
    kept = [name for name, kind in kinds.items() if kind == "bfloat16"]
    assert kept and all(len(load_weights(source / "model.safetensors")[name].shape) == 2 for name in kept)
    assert all(kinds[name] == "float32" for name in kinds if name.endswith("bias"))
    before = {name: array.copy() for name, array in model.state_dict().items()}

    save_model(model, tmp_path / "again")
    types = {name: entry.type for name, entry in WeightsFile(tmp_path / "again" / "model.safetensors").entries.items()}
    assert {name for name, kind in types.items() if kind == "BF16"} == set(kept)

    assert model.to("float32") is model
    assert all(parameter.dtype == "float32" and parameter.requires_grad for parameter in model.parameters())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_optimizers_ask_for_float32() -> None:
    from attnkit import nn, optim

    layer = nn.Linear(3, 2)
    layer.to("bfloat16")
    optimizer = optim.Adam(list(layer.parameters()), 0.1)
    layer.weight.grad = attnkit.tensor(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="expected float32, got bfloat16"):
        optimizer.step()
    layer.to("float32")
    x = attnkit.tensor(np.ones((1, 3), np.float32))
    layer(x).sum().backward()
    before = layer.weight.numpy().copy()
    optimizer.step()
    assert (layer.weight.numpy() != before).all()
