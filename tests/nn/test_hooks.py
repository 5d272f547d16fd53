"""Forward hooks, and watching a model through them."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

from attnkit import nn, no_grad, tensor

OFFSETS = np.array([0, 3, 5], np.int32)


def test_a_hook_sees_and_may_change_arguments_and_output_until_it_is_removed() -> None:
    layer, seen = nn.Linear(2, 2), []
    x = tensor(np.ones((1, 2), np.float32))
    plain = layer(x).numpy().copy()
    before = layer.register_forward_pre_hook(lambda module, args: (args[0] * 2.0,))
    after = layer.register_forward_hook(lambda module, args, output: seen.append((module, output)))
    doubled = layer(x).numpy().copy()
    assert seen[0][0] is layer
    before.remove()
    with layer.register_forward_hook(lambda module, args, kwargs, output: output * 0.0, with_kwargs=True):
        assert not layer(x).numpy().any()
    after.remove()
    np.testing.assert_array_equal(layer(x).numpy(), plain)
    assert len(seen) == 2
    assert not np.array_equal(doubled, plain)
    assert copy.copy(layer)._hooks is None


def test_a_pre_hook_that_returns_something_else_is_named() -> None:
    layer = nn.Linear(2, 2)
    layer.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(TypeError, match=r"\[hook\] expected None or \(args, kwargs\) from a hook of Linear, got 3"):
        layer(tensor(np.ones((1, 2), np.float32)))


def test_watching_gives_every_layer_s_weights_and_changes_no_bit() -> None:
    encoder = nn.TransformerEncoder(2, 8, 2, 16, dropout=0.0)
    x = tensor(np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32))
    with no_grad():
        plain = encoder(x, OFFSETS).numpy().copy()
        _, weights = encoder(x, OFFSETS, return_weights=True)
        with nn.watching(encoder) as seen:
            watched = encoder(x, OFFSETS).numpy()
    np.testing.assert_array_equal(watched, plain)
    assert [each.name for each in seen] == ["layers.0.attention", "layers.1.attention"]
    for each, given in zip(seen, weights, strict=True):
        np.testing.assert_array_equal(each.weights.numpy(), given.numpy())


def test_watching_leaves_callers_that_ask_and_other_threads_alone() -> None:
    encoder = nn.TransformerEncoder(1, 8, 2, 16, dropout=0.0)
    x = tensor(np.ones((5, 8), np.float32))
    elsewhere: list[Any] = []
    with no_grad(), nn.watching(encoder) as seen:
        thread = threading.Thread(target=lambda: elsewhere.append(encoder(x, OFFSETS)))
        thread.start()
        thread.join()
        assert not seen
        asked = encoder(x, OFFSETS, return_weights=True)
    assert elsewhere[0].shape == (5, 8)
    assert len(asked[1]) == 1
    assert len(seen) == 1
