"""Plain float64 formulas of the recurrent units, sentence by sentence and step by step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from reference import Array64, Ids, relu, sigmoid

GATES = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}


def step(unit: str, x: Array64, u: Array64, h: Array64, c: Array64) -> tuple[Array64, Array64]:
    """The new (h, c), given the projected input x and the product u, each [G·H]."""
    if unit == "gru":
        (xr, xz, xn), (ur, uz, un) = np.split(x, 3), np.split(u, 3)
        z = sigmoid(xz + uz)
        return (1 - z) * np.tanh(xn + sigmoid(xr + ur) * un) + z * h, c
    if unit == "lstm":
        i, f, g, o = np.split(x + u, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    return np.tanh(x + u) if unit == "tanh" else relu(x + u), c


NAMES = {"gru": ("reset", "update"), "lstm": ("input", "forget", "candidate", "output")}
"""Of the parts that a unit's G·H numbers stand for, in their order, without the last one of the GRU."""


def gates(
    unit: str,
    projected: Array64,
    offsets: Ids,
    weight: Array64,
    bias: Array64,
    state: Array64,
    cell: Array64,
    direction: str = "forward",
) -> dict[str, Array64]:
    """What the gates are at each token, [T, D·H] by name; arguments as `recurrent` takes them."""
    reads = {"forward": [1], "backward": [-1], "both": [1, -1]}[direction]
    hidden, rows = weight.shape[1], GATES[unit] * weight.shape[1]
    found = {name: np.zeros((len(projected), len(reads) * hidden)) for name in NAMES[unit] if name != "candidate"}
    for d, order in enumerate(reads):
        mine, columns = slice(d * rows, (d + 1) * rows), slice(d * hidden, (d + 1) * hidden)
        for b, (begin, end) in enumerate(pairwise(offsets)):
            h, c = state[d, b], cell[d, b]
            for t in range(begin, end)[::order]:
                x, u = projected[t, mine], weight[mine] @ h + bias[mine]
                for part, name in enumerate(NAMES[unit]):
                    if name in found:
                        found[name][t, columns] = sigmoid((x + u)[part * hidden : (part + 1) * hidden])
                h, c = step(unit, x, u, h, c)
    return found


def recurrent(
    unit: str,
    projected: Array64,
    offsets: Ids,
    weight: Array64,
    bias: Array64,
    state: Array64,
    cell: Array64,
    direction: str = "forward",
) -> tuple[Array64, Array64, Array64]:
    """Output [T, D·H], last states and last cells [D, B, H]; shapes of the inputs as in attnkit.ops."""
    reads = {"forward": [1], "backward": [-1], "both": [1, -1]}[direction]
    hidden, rows = weight.shape[1], GATES[unit] * weight.shape[1]
    output = np.zeros((len(projected), len(reads) * hidden))
    last_state, last_cell = state.copy(), cell.copy()
    for d, order in enumerate(reads):
        gates, columns = slice(d * rows, (d + 1) * rows), slice(d * hidden, (d + 1) * hidden)
        for b, (begin, end) in enumerate(pairwise(offsets)):
            h, c = state[d, b], cell[d, b]
            for t in range(begin, end)[::order]:
                h, c = step(unit, projected[t, gates], weight[gates] @ h + bias[gates], h, c)
                output[t, columns] = h
            last_state[d, b], last_cell[d, b] = h, c
    return output, last_state, last_cell


def ssru(projected: Array64, offsets: Ids, bias: Array64, state: Array64) -> tuple[Array64, Array64]:
    """Output [T, H] and the last cells [B, H] of an SSRU: projected [T, 2·H], bias [H], state [B, H]."""
    gates, candidates = np.split(projected, 2, axis=1)
    forget = sigmoid(gates + bias)
    cells, last = np.zeros_like(candidates), state.copy()
    for b, (begin, end) in enumerate(pairwise(offsets)):
        for t in range(begin, end):
            last[b] = cells[t] = forget[t] * last[b] + (1 - forget[t]) * candidates[t]
    return relu(cells), last
