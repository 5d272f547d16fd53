"""The gates of recurrent layers: how much of what is new each unit takes, keeps and shows, token by token.

"Forget map, input map and output map": numbers in (0, 1) that multiply what they let through, as attention does.
They are had after the fact, from what a layer read and from the states that it gave, so that nothing changes for it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from attnkit import _core, ops
from attnkit._core import Tensor


class LSTMGates(NamedTuple):
    """i, f and o of `ops.lstm`, each [T, D·hidden_size], the forward direction first; of a cell [R, hidden_size]."""

    input: Tensor
    forget: Tensor
    output: Tensor


class GRUGates(NamedTuple):
    """r and z of `ops.gru`, each [T, D·hidden_size], the forward direction first; of a cell [R, hidden_size].

    z is the share of the state that stays, so that what is new has 1 - z."""

    reset: Tensor
    update: Tensor


class SSRUGates(NamedTuple):
    """f of `ops.ssru`, [T, width]."""

    forget: Tensor


G = TypeVar("G", LSTMGates, GRUGates)


def lstm_gates(projected: Tensor, product: Tensor) -> LSTMGates:
    """Of rows [R, 4·H] of inputs and of U h, h the state before."""
    i, f, _, o = _parts(projected + product, 4)
    return LSTMGates(i.sigmoid(), f.sigmoid(), o.sigmoid())


def gru_gates(projected: Tensor, product: Tensor) -> GRUGates:
    """Of rows [R, 3·H] of inputs and of U h + b, h the state before."""
    r, z, _ = _parts(projected + product, 3)
    return GRUGates(r.sigmoid(), z.sigmoid())


def layer_gates(
    gates: Callable[[Tensor, Tensor], G],
    projected: Tensor,
    output: Tensor,
    offsets: np.ndarray,
    weight: Tensor,
    bias: Tensor | None,
    state: Tensor | None,
) -> G:
    """Those of a whole layer, its directions side by side, by `lstm_gates` or `gru_gates`.

    projected [T, D·G·H]; output [T, D·H]; weight [D·G·H, H]; bias [D·G·H]; state [D, B, H], zeros where not given.
    """
    hidden = weight.shape[1]
    directions = output.shape[1] // hidden
    inputs, outputs, found = _parts(projected, directions), _parts(output, directions), []
    for direction, states in enumerate(outputs):
        shape = len(offsets) - 1, hidden
        first = _core.zeros(shape, output.device) if state is None else state[direction : direction + 1].reshape(*shape)
        before = ops.gather_rows(ops.concatenate([states, first]), _rows_before(offsets, bool(direction)))
        product = ops.linear(before, weight, bias)  # with the weight of all directions: one of int8 cannot be cut
        found.append(gates(inputs[direction], _parts(product, directions)[direction]))
    if directions == 1:
        return found[0]
    return type(found[0])(*(ops.concatenate(list(each), 1) for each in zip(*found, strict=True)))


def _rows_before(offsets: np.ndarray, backward: bool) -> np.ndarray:
    """For each token the row of the one read before it; row T + b for the first of sentence b, int32 [T]."""
    tokens = int(offsets[-1])
    rows = np.arange(tokens) + (1 if backward else -1)
    for sentence, (begin, end) in enumerate(pairwise(np.asarray(offsets).tolist())):
        if end > begin:
            rows[end - 1 if backward else begin] = tokens + sentence
    return rows.astype(np.int32)


def _parts(x: Tensor, count: int) -> list[Tensor]:
    """Its columns in equal parts."""
    width = x.shape[1] // count
    return [x] if count == 1 else [x[:, part * width : (part + 1) * width] for part in range(count)]
