"""From what the layers of a model gave (`nn.watching`) to kinds of attention, of one text or image at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnkit import nn
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.nn.attention import CrossAttention, SelfAttention
from attnkit.nn.watching import Seen, head_weights


def self_attention(
    seen: Sequence[Seen], part: str, kind: str, tokens: Sequence[str], axis: str, **more: Any
) -> list[AttentionWeights]:
    """The self-attention of the layers whose name begins with `part`, [layers, heads, n, n]; none where it has none.

    tokens: what the layers read; axis: what that is.
    """
    found = [_heads(each, each.args[1], each.args[1]) for each in _of(seen, SelfAttention, part)]
    if not found:
        return []
    return [AttentionWeights(kind, np.stack(found), tokens, tokens, query_axis=axis, key_axis=axis, **more)]


def cross_attention(
    seen: Sequence[Seen], part: str, queries: Sequence[str], keys: Sequence[str], axes: tuple[str, str], **more: Any
) -> list[AttentionWeights]:
    """The same of cross-attention, [layers, heads, n, m]; axes: what queries and keys are."""
    found = [_heads(each, each.args[1], each.args[3]) for each in _of(seen, CrossAttention, part)]
    if not found:
        return []
    return [AttentionWeights("cross", np.stack(found), queries, keys, query_axis=axes[0], key_axis=axes[1], **more)]


def gates(
    seen: Sequence[Seen], part: str, words: Sequence[str], axis: str, kind: str = "gates", **more: Any
) -> list[AttentionWeights]:
    """The gates of the recurrent layers and cells whose name begins with `part`: "gates.input", "gates.forget" and
    "gates.output" of an LSTM, "gates.reset" and "gates.update" of a GRU, "gates.forget" of an SSRU; none where it has
    none. [layers, directions, units, words]: a row is a unit, how far its gate opens at each word.

    words: what the layers read, in the order in which they read it; a cell is called once a word.
    kind: what stands before the gate's name.
    """
    layers = _gates_by_layer(seen, part)
    if not layers:
        return []
    units = [f"unit {number}" for number in range(1, layers[0][1].shape[2] + 1)]
    names = ("forward", "backward")[: layers[0][1].shape[1]] if layers[0][1].shape[1] > 1 else ()
    found: dict[str, list[np.ndarray]] = {}
    for name, values in layers:
        found.setdefault(name, []).append(values.transpose(1, 2, 0))
    axes: dict[str, Any] = dict(query_axis="unit", key_axis=axis, scale="gate", head_names=names)
    return [
        AttentionWeights(f"{kind}.{name}", np.stack(weights), units, words, **axes, **more)
        for name, weights in found.items()
    ]


def memory_reads(
    seen: Sequence[Seen], part: str, queries: Sequence[str], keys: Sequence[str], axes: tuple[str, str], **more: Any
) -> list[AttentionWeights]:
    """What the `nn.MemoryRead`s whose name begins with `part` read, [layers, 1, queries, keys]; one that is called once
    a query gives its rows one by one. axes: what queries and keys are."""
    found = _rows_by_layer(_of(seen, nn.MemoryRead, part), len(keys))
    if not found:
        return []
    weights = np.stack(found)[:, None]
    return [AttentionWeights("memory", weights, queries, keys, query_axis=axes[0], key_axis=axes[1], **more)]


def _gates_by_layer(seen: Sequence[Seen], part: str) -> list[tuple[str, np.ndarray]]:
    """(gate's name, [words, directions, units]) for each gate of each layer, from the lowest one up."""
    found: dict[tuple[str, int, str], list[np.ndarray]] = {}
    for each in _of(seen, (nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.SSRU), part):
        layers = each.weights if isinstance(each.weights, list) else [each.weights]
        directions = getattr(each.module, "directions", 1)
        for index, layer in enumerate(layers):
            for name, values in layer._asdict().items():
                array = values.numpy(writable=False)
                found.setdefault((each.name, index, name), []).append(array.reshape(len(array), directions, -1).copy())
    return [(name, np.concatenate(steps)) for (_, _, name), steps in found.items()]


def _rows_by_layer(seen: Sequence[Seen], keys: int) -> list[np.ndarray]:
    """[queries, keys] of each layer, from flat weights of one sentence in one call or in a call a query."""
    found: dict[str, list[np.ndarray]] = {}
    for each in seen:
        found.setdefault(each.name, []).append(each.weights.numpy(writable=False).reshape(-1, keys).copy())
    return [np.concatenate(steps) for steps in found.values()]


def _of(seen: Sequence[Seen], layer: type | tuple[type, ...], part: str) -> list[Seen]:
    return [each for each in seen if isinstance(each.module, layer) and each.name.startswith(part)]


def _heads(seen: Seen, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    [weights] = head_weights(seen.weights, seen.module.heads, np.asarray(queries), np.asarray(keys))
    return weights
