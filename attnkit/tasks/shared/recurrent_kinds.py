"""What recurrent layers and the attention between them gave (`nn.watching`), as kinds of attention of one text."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from attnkit import nn
from attnkit.explain.maps.weights import AttentionWeights
from attnkit.nn.attention import HardNormaliser, Normaliser, Rows, StructuredNormaliser
from attnkit.nn.watch import Seen

Axes = tuple[str, str]
"""What queries and keys are."""


def gates(
    seen: Sequence[Seen],
    part: str,
    words: Sequence[str],
    axis: str,
    kind: str = "gates",
    order: np.ndarray | None = None,
    **more: Any,
) -> list[AttentionWeights]:
    """The gates of the recurrent layers and cells whose name begins with `part`: "gates.input", "gates.forget" and
    "gates.output" of an LSTM, "gates.reset" and "gates.update" of a GRU, "gates.forget" of an SSRU; none where it has
    none. [layers, directions, units, words]: a row is a unit, how far its gate opens at each word.

    words: what is read; axis: what that is. A cell is called once a word.
    kind: what stands before the gate's name.
    order: int [words], where each word was read, of layers that read them in another order.
    """
    found: dict[str, list[np.ndarray]] = {}
    for name, values in _gates_by_layer(seen, part):
        read = values if order is None else values[order]
        found.setdefault(name, []).append(read.transpose(1, 2, 0))
    kinds = []
    for name, layers in found.items():
        _, directions, units = len(layers), *layers[0].shape[:2]
        rows = [f"unit {number}" for number in range(1, units + 1)]
        names = ["forward", "backward"] if directions == 2 else []
        axes: dict[str, Any] = dict(query_axis="unit", key_axis=axis, scale="gate", head_names=names)
        kinds.append(AttentionWeights(f"{kind}.{name}", np.stack(layers), rows, words, **axes, **more))
    return kinds


def one_head_attention(
    seen: Sequence[Seen], part: str, queries: Sequence[str], keys: Sequence[str], axes: Axes, **more: Any
) -> list[AttentionWeights]:
    """ "cross" of the `nn.Attention`s whose name begins with `part`, [layers, 1, queries, keys], in one call or in a
    call a query; what lies outside a window is 0. Windows and hard choices say their `centres`."""
    calls = _of(seen, nn.Attention, part)
    found = _rows_by_layer(calls, len(keys))
    if not found:
        return []
    options: dict[str, Any] = dict(query_axis=axes[0], key_axis=axes[1], centres=_centres(calls), **more)
    if isinstance(calls[0].module.normaliser, StructuredNormaliser):
        options["scale"] = "gate"  # marginals: any number of words may be looked at
    return [AttentionWeights("cross", np.stack(found)[:, None], queries, keys, **options)]


def own_past(
    seen: Sequence[Seen], part: str, words: Sequence[str], axis: str, order: np.ndarray | None = None
) -> list[AttentionWeights]:
    """ "encoder" of the `nn.LSTMN`s whose name begins with `part`, [layers, 1, n, n]: row t is what lies before it.
    order: as in `gates`."""
    found = [
        each.weights.reshape(len(words), len(words)) if order is None
        else each.weights.reshape(len(words), len(words))[np.ix_(order, order)]
        for each in _of(seen, nn.LSTMN, part)
    ]  # fmt: skip
    if not found:
        return []
    return [AttentionWeights("encoder", np.stack(found)[:, None], words, words, query_axis=axis, key_axis=axis)]


def memory_reads(
    seen: Sequence[Seen], part: str, queries: Sequence[str], keys: Sequence[str], axes: Axes, **more: Any
) -> list[AttentionWeights]:
    """ "memory" of the `nn.MemoryRead`s whose name begins with `part`, [layers, 1, queries, keys], in one call or in a
    call a query."""
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
    """[queries, keys] of each layer, from flat weights of one text in one call or in a call a query."""
    found: dict[str, list[np.ndarray]] = {}
    for each in seen:
        found.setdefault(each.name, []).append(each.weights.numpy(writable=False).reshape(-1, keys).copy())
    return [np.concatenate(steps) for steps in found.values()]


def _centres(calls: Sequence[Seen]) -> np.ndarray | None:
    """Where each query of the first layer aims, float32 [queries]; None of attention to all."""
    found = [_aimed_at(each) for each in calls if each.name == calls[0].name]
    return None if any(each is None for each in found) else np.concatenate([each for each in found if each is not None])


def _aimed_at(call: Seen) -> np.ndarray | None:
    """Of one call of `nn.Attention`."""
    given = inspect.signature(nn.Attention.forward).bind(call.module, *call.args, **call.kwargs).arguments
    query, query_offsets = given["query"], given["query_offsets"]
    positions = given.get("positions")
    normaliser: Normaliser = call.module.normaliser
    if isinstance(normaliser, HardNormaliser):
        weights = call.weights.numpy(writable=False).reshape(query.shape[0], -1)
        return np.asarray(weights.argmax(axis=1), np.float32)
    if positions is None:
        positions = nn.packed_positions(query_offsets)
    aimed = normaliser.aim(Rows(query, query_offsets, given["memory"].offsets, positions))
    if aimed.centres is not None:
        return np.array(aimed.centres.numpy(writable=False), np.float32)
    if aimed.window is None:
        return None
    begins, ends = (np.asarray(each, np.float32) for each in aimed.window)
    return np.asarray((begins + ends - 1) / 2, np.float32)


def _of(seen: Sequence[Seen], layer: type | tuple[type, ...], part: str) -> list[Seen]:
    return [each for each in seen if isinstance(each.module, layer) and each.name.startswith(part)]
