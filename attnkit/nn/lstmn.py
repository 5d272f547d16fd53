"""The long short-term memory-network, whose cell attends to its own past (Cheng et al., 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from attnkit import _core, ops
from attnkit._core import Tensor
from attnkit._tensor import index_array
from attnkit.nn import init
from attnkit.nn.linear import Linear
from attnkit.nn.module import Module
from attnkit.nn.recurrent import LSTMCell, LSTMState
from attnkit.nn.time_major import TimeMajor, sorted_offsets


class LSTMN(Module):
    """An LSTM with a tape of all its states instead of one (Cheng et al., 2016, section 3.1, equations 4 to 9).

    At step t it scores its past, a_i = v · tanh(W_h h_i + W_x x_t + W_s h̃_{t-1}), takes with the weights s = softmax(a)
    the summaries h̃_t = Σ s_i h_i and c̃_t = Σ s_i c_i, and is an LSTM that reads these in place of its last state.
    """

    returns_weights = True

    def __init__(self, input_size: int, hidden_size: int, attention_size: int | None = None) -> None:
        super().__init__()
        size = attention_size or hidden_size
        self.hidden_size = hidden_size
        self.cell = LSTMCell(input_size, hidden_size)
        self.query = Linear(input_size, size)
        self.summary = Linear(hidden_size, size, bias=False)
        self.key = Linear(hidden_size, size, bias=False)
        self.v = init.uniform((size,), size**-0.5)

    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, return_weights: Literal[False] = False
    ) -> tuple[Tensor, LSTMState]: ...
    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, return_weights: Literal[True]
    ) -> tuple[Tensor, LSTMState, np.ndarray]: ...
    def forward(
        self, x: Tensor, offsets: np.ndarray, return_weights: bool = False
    ) -> tuple[Tensor, LSTMState] | tuple[Tensor, LSTMState, np.ndarray]:
        """x [T, input_size], offsets [B + 1] → (output [T, hidden_size], (h, c) of [B, hidden_size] behind the ends).

        With return_weights also the weights, flat: for each sentence [n, n], row t the weights over what lies before t
        (of the first token none, so that its row is zero).
        """
        order = TimeMajor(offsets)
        tape = _Tape(sorted_offsets(offsets, order.order), self.hidden_size, self.v.shape[0], x.device)
        queries, projected = order.split(self.query(x)), order.split(self.cell.project(x))
        outputs, cells, weights = [], [], []
        summary = _core.zeros((len(order.order), self.hidden_size), x.device)
        for step, (query, inputs) in enumerate(zip(queries, projected, strict=True)):
            rows = order.offsets(step)
            asked = query + self.summary(_first(summary, query.shape[0]))
            attended = tape.read(asked, self.v, rows, step)
            summary = attended[0]
            h, c = self.cell.step(inputs, (attended[0], attended[1]))
            tape.write(h, c, self.key(h), step)
            outputs.append(h)
            cells.append(c)
            weights.append(attended[2])
        output = order.join(outputs)
        last = np.asarray(offsets[1:] - 1, dtype=np.int32)
        state = ops.gather_rows(output, last), ops.gather_rows(order.join(cells), last)
        return (output, state, _by_sentence(weights, order, offsets)) if return_weights else (output, state)

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        return f"hidden_size={self.hidden_size}"


class _Tape:
    """The states so far, written in place: rows behind the present step are zeros that no weight falls on."""

    def __init__(self, offsets: np.ndarray, hidden_size: int, size: int, device: str) -> None:
        self.offsets = offsets
        tokens = int(offsets[-1])
        self.h, self.c, self.keys = (_core.zeros((tokens, width), device) for width in (hidden_size, hidden_size, size))

    def read(self, query: Tensor, v: Tensor, rows: np.ndarray, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(h̃, c̃, flat weights) over the states before `step`."""
        count = query.shape[0]
        past = index_array(np.zeros(count, np.int32)), index_array(np.full(count, step, np.int32))
        scores = ops.ragged_additive(query, self.keys, v, rows, self.offsets, None, None, *past)
        weights = ops.ragged_softmax(scores, rows, self.offsets, *past)
        h, c = (ops.ragged_sums(weights, values, rows, self.offsets, *past) for values in (self.h, self.c))
        return h, c, weights

    def write(self, h: Tensor, c: Tensor, key: Tensor, step: int) -> None:
        places = (self.offsets[: h.shape[0]] + step).astype(np.int32)
        self.h = ops.write_rows(self.h, places, h)
        self.c = ops.write_rows(self.c, places, c)
        self.keys = ops.write_rows(self.keys, places, key)


def _first(x: Tensor, rows: int) -> Tensor:
    return x if x.shape[0] == rows else x[:rows]


def _by_sentence(steps: list[Tensor], order: TimeMajor, offsets: np.ndarray) -> np.ndarray:
    """The weights of all steps as the [n, n] block of each sentence, flat."""
    lengths = np.diff(offsets)
    blocks = [np.zeros((n, n), np.float32) for n in lengths]
    for step, flat in enumerate(steps):
        parts = np.split(flat.numpy(writable=False), np.cumsum(lengths[order.order[: order.active[step]]])[:-1])
        for place, part in enumerate(parts):
            blocks[order.order[place]][step] = part
    return np.concatenate([block.ravel() for block in blocks] or [np.zeros(0, np.float32)])
