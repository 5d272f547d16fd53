"""copy and pickle of tensors, modules and loaded models: for averages of weights, joblib, spawned processes."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kept_models import MODELS, outputs

import attnkit
from attnkit import nn


def pickled(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


def test_copies_of_a_tensor() -> None:
    x = attnkit.tensor(np.arange(6).reshape(2, 3), requires_grad=True)
    (x * x).sum().backward()
    deep, shallow, packed = copy.deepcopy(x), copy.copy(x), pickled(x)
    for each in (deep, shallow, packed):
        assert each.requires_grad and each.is_leaf
        np.testing.assert_array_equal(np.asarray(each), np.asarray(x))
    np.testing.assert_array_equal(np.asarray(deep.grad), 2 * np.asarray(x))
    x.copy_(np.zeros((2, 3), np.float32))
    assert np.asarray(deep).any() and np.asarray(packed).any() and not np.asarray(shallow).any()
    assert not copy.deepcopy(attnkit.tensor(np.zeros(2))).requires_grad


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickled])
def test_a_result_with_a_history_is_refused(how: Any) -> None:
    x = attnkit.tensor(np.ones(3), requires_grad=True)
    with pytest.raises(ValueError, match=r"\[copy\] .* detach\(\) it"):
        how(x * 2.0)
    np.testing.assert_array_equal(np.asarray(how((x * 2.0).detach())), 2.0)


@pytest.mark.parametrize("how", [copy.deepcopy, pickled])
def test_a_copy_of_a_module_is_another_with_the_same_ties(how: Any) -> None:
    layer = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    layer[1].weight = layer[0].weight
    other = how(layer)
    assert other[1].weight is other[0].weight and other[0].weight is not layer[0].weight
    assert list(dict(other.named_parameters())) == list(dict(layer.named_parameters()))
    other[0].weight.copy_(np.zeros((3, 3), np.float32))
    assert np.asarray(layer[0].weight).any()


def test_a_shallow_copy_of_a_module_has_its_own_parts() -> None:
    layer = nn.Linear(3, 3)
    other = copy.copy(layer)
    assert other.weight is layer.weight
    other.bias = None
    assert set(dict(layer.named_parameters())) == {"weight", "bias"} and set(dict(other.named_parameters())) == {
        "weight"
    }


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_of_a_loaded_model_writes_what_it_writes(path: Path, precision: Any, how: Any) -> None:
    model = attnkit.load(path, precision=precision)
    assert outputs(how(model)) == outputs(model)


@pytest.mark.cpu_only
def test_a_model_goes_to_a_process_that_is_spawned() -> None:
    model = attnkit.load(MODELS[-1])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(outputs, (model,)) == outputs(model)
