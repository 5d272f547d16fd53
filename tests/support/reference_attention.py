"""Plain float64 formulas of what whole small models look at, one sentence or image at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import reference
from reference import Array64
from reference_recurrent import step

Parameters = Mapping[str, np.ndarray]
Function = Callable[[Array64], Array64]


class Stack(NamedTuple):
    """states [N, D]; of each layer the weights [H, N, N] of the self-attention, and [H, N, M] of the cross-attention,
    where there is one."""

    states: Array64
    own: Array64
    cross: Array64


def float64(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(array, np.float64) for name, array in parameters.items()}


def sinusoids(length: int, width: int) -> Array64:
    """PE(p, 2i) = sin(p / 10000^(2i / d)), PE(p, 2i + 1) = cos(p / 10000^(2i / d))."""
    angles = np.arange(length)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, width)


def multi_head(q: Array64, k: Array64, v: Array64, heads: int, causal: bool = False) -> tuple[Array64, Array64]:
    """(softmax(q kᵀ / √d) v, the weights [H, N, M]) of q [N, H·d], k and v [M, H·d]."""
    q, k, v = (x.reshape(len(x), heads, -1).transpose(1, 0, 2) for x in (q, k, v))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    if causal:
        scores = np.where(np.tri(*scores.shape[1:], dtype=bool), scores, -np.inf)
    weights = reference.softmax(scores)
    return (weights @ v).transpose(1, 0, 2).reshape(q.shape[1], -1), weights


def transformer(
    p: Parameters,
    name: str,
    x: Array64,
    layers: int,
    heads: int,
    activation: Function = reference.gelu,
    norm: str = "pre",
    causal: bool = False,
    memory: Array64 | None = None,
) -> Stack:
    """A stack of encoder layers, or with a memory of decoder layers, whose parameters begin with `name`."""
    own, cross = [], []

    def linear(layer: str, x: Array64) -> Array64:
        return x @ p[layer + ".weight"].T + p[layer + ".bias"]

    def normed(layer: str, x: Array64) -> Array64:
        return reference.layer_norm(x, p[layer + ".weight"], p[layer + ".bias"])

    def around(layer: str, x: Array64, sublayer: Function) -> Array64:
        return x + sublayer(normed(layer, x)) if norm == "pre" else normed(layer, x + sublayer(x))

    for number in range(layers):
        layer = f"{name}layers.{number}."
        itself = layer + ("attention" if memory is None else "self_attention")

        def looks(read: Array64, itself: str = itself) -> Array64:
            found, weights = multi_head(*np.split(linear(itself + ".projection", read), 3, axis=1), heads, causal)
            own.append(weights)
            return linear(itself + ".output", found)

        def looks_across(read: Array64, across: str = layer + "cross_attention") -> Array64:
            assert memory is not None
            key, value = np.split(linear(across + ".key_value", memory), 2, axis=1)
            found, weights = multi_head(linear(across + ".query", read), key, value, heads)
            cross.append(weights)
            return linear(across + ".output", found)

        def feeds(read: Array64, feed: str = layer + "feed_forward") -> Array64:
            return linear(feed + ".down", activation(linear(feed + ".up", read)))

        x = around(itself + "_norm", x, looks)
        if memory is not None:
            x = around(layer + "cross_attention_norm", x, looks_across)
        x = around(layer + "feed_forward_norm", x, feeds)
    if norm == "pre":
        x = normed(name + "last_norm", x)
    return Stack(x, np.array(own), np.array(cross))


def rollout(weights: Array64) -> Array64:
    """Of the weights [L, H, N, N]: the product of ½ mean over heads + ½ identity, first layer innermost."""
    result = np.eye(weights.shape[-1])
    for layer in weights:
        result = (0.5 * layer.mean(axis=0) + 0.5 * np.eye(len(result))) @ result
    return result


def excitation(p: Parameters, name: str, x: Array64) -> Array64:
    """sigmoid(W₂ relu(W₁ mean of x)) of a feature map [H, W, C] (Hu et al., 2018)."""
    down = reference.relu(x.mean(axis=(0, 1)) @ p[name + ".down.weight"].T + p[name + ".down.bias"])
    return reference.sigmoid(down @ p[name + ".up.weight"].T + p[name + ".up.bias"])


def show_attend_tell(
    p: Parameters, name: str, memory: Array64, words: list[int], hard: bool
) -> tuple[Array64, Array64]:
    """(weights [T, M], β [T]) of regions [M, D] and the T words that are read (Xu et al., 2015, section 4.2.1)."""
    weights, gates = [], []
    h, c = np.split(np.tanh(memory.mean(axis=0) @ p[name + "first_state.weight"].T + p[name + "first_state.bias"]), 2)
    score, cell = name + "attention.score.", name + "cell.weights."
    keys = memory @ p[score + "key.weight"].T + p[score + "key.bias"]
    for word in words:
        scores = np.tanh(keys + p[score + "query.weight"] @ h) @ p[score + "v"]
        alpha = reference.softmax(scores) if not hard else np.eye(len(scores))[scores.argmax()]
        [beta] = reference.sigmoid(p[name + "gate.weight"] @ h + p[name + "gate.bias"])
        weights.append(alpha)
        gates.append(beta)
        read = p[cell + "input_weight"] @ p[name + "embedding.weight"][word] + p[cell + "input_bias"]
        read = read + p[name + "context_gates.weight"] @ (beta * (alpha @ memory))
        h, c = step("lstm", read, p[cell + "hidden_weight"] @ h + p[cell + "hidden_bias"], h, c)
    return np.array(weights), np.array(gates)
