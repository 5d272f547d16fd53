"""Recurrent layers over packed sentences, and their cells for models that stop at every step.

The units and their gates are PyTorch's, so are the first values: uniform within ±1/√hidden_size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, overload

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit.nn import init
from attnkit.nn.gates import GRUGates, LSTMGates, gru_gates, layer_gates, lstm_gates
from attnkit.nn.module import Module, ModuleList

State: TypeAlias = Tensor | None
LSTMState: TypeAlias = tuple[Tensor, Tensor]


class RecurrentWeights(Module):
    """The parameters of a recurrent layer or cell with G gates and D directions.

    input_weight [D·G·hidden_size, input_size], hidden_weight [D·G·hidden_size, hidden_size], and the biases input_bias
    and hidden_bias [D·G·hidden_size]: PyTorch's weight_ih, weight_hh, bias_ih, bias_hh, those of the backward direction
    below those of the forward one. Two modules share parameters when one takes the other's: `cell.weights =
    layer.layers[0]`.
    """

    def __init__(self, input_size: int, hidden_size: int, gates: int, bias: bool = True, directions: int = 1) -> None:
        super().__init__()
        if input_size < 1 or hidden_size < 1:
            raise ValueError(f"[recurrent] expected sizes of at least 1, got {input_size} and {hidden_size}")
        bound, rows = 1 / math.sqrt(hidden_size), directions * gates * hidden_size
        self.input_weight = init.uniform((rows, input_size), bound)
        self.hidden_weight = init.uniform((rows, hidden_size), bound)
        self.input_bias = init.uniform((rows,), bound) if bias else None
        self.hidden_bias = init.uniform((rows,), bound) if bias else None

    def project(self, x: Tensor, both_biases: bool) -> Tensor:
        """The inputs' part of the gates: x [T, input_size] → [T, D·G·hidden_size].

        Where the hidden bias is only added it may be added here: the gradients of the two biases are then the same
        numbers, computed once.
        """
        bias = self.input_bias
        if both_biases and bias is not None and self.hidden_bias is not None:
            bias = bias + self.hidden_bias
        return ops.linear(x, self.input_weight, bias)

    def extra_repr(self) -> str:
        return f"{list(self.input_weight.shape)}, {list(self.hidden_weight.shape)}, bias={self.input_bias is not None}"


# --- layers


class _Layers(Module):
    """What RNN, GRU and LSTM share: a stack of layers, in one or both directions, with dropout between them."""

    name: ClassVar[str]
    gates: ClassVar[int]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"[{self.name}] expected num_layers of at least 1, got {num_layers}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"[{self.name}] expected dropout in [0, 1), got {dropout}")
        self.hidden_size = hidden_size
        self.dropout = dropout
        self.directions = 2 if bidirectional else 1
        widths = [input_size] + [self.directions * hidden_size] * (num_layers - 1)
        self.layers = ModuleList(
            [RecurrentWeights(width, hidden_size, self.gates, bias, self.directions) for width in widths]
        )

    def _layer_inputs(self, index: int, x: Tensor) -> Tensor:
        """What a layer reads: behind the first one, with dropout."""
        return ops.dropout(x, self.dropout) if index and self.training and self.dropout else x

    def _state_of(self, index: int, state: State, offsets: np.ndarray) -> State:
        """A layer's part [D, B, hidden_size] of the state of all."""
        if state is None:
            return None
        expected = (len(self.layers) * self.directions, len(offsets) - 1, self.hidden_size)
        if state.shape != expected:
            raise ValueError(f"[{self.name}] expected state of shape {list(expected)}, got {list(state.shape)}")
        return state if len(self.layers) == 1 else state[index * self.directions : (index + 1) * self.directions]

    @property
    def _direction(self) -> str:
        return "forward" if self.directions == 1 else "both"

    def extra_repr(self) -> str:
        return f"hidden_size={self.hidden_size}, dropout={self.dropout}, bidirectional={self.directions == 2}"


def _stack(states: list[Tensor]) -> Tensor:
    return states[0] if len(states) == 1 else ops.concatenate(states)


class RNN(_Layers):
    """Simple recurrent layers (Elman, 1990): h' = act(W x + b + U h + c), act "tanh" or "relu"."""

    name = "rnn"
    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        dropout: float = 0.0,
        bidirectional: bool = False,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, dropout, bidirectional)
        self.nonlinearity = _checked_nonlinearity(nonlinearity)

    def forward(self, x: Tensor, offsets: np.ndarray, state: State = None) -> tuple[Tensor, Tensor]:
        """x [T, input_size], offsets [B + 1] → (output [T, D·hidden_size], state behind the last tokens).

        state [num_layers·D, B, hidden_size]: layer by layer, forward before backward; zeros where not given.
        """
        last = []
        for index, weights in enumerate(self.layers):
            projected = weights.project(self._layer_inputs(index, x), both_biases=True)
            before = self._state_of(index, state, offsets)
            x, after = ops.rnn(
                projected, offsets, weights.hidden_weight, None, before, self.nonlinearity, self._direction
            )
            last.append(after)
        return x, _stack(last)


class GRU(_Layers):
    """Gated recurrent units (Cho et al., 2014); the formulas are in `ops.gru`."""

    name = "gru"
    gates = 3
    returns_weights = True

    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, state: State = None, return_weights: Literal[False] = False
    ) -> tuple[Tensor, Tensor]: ...
    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, state: State = None, *, return_weights: Literal[True]
    ) -> tuple[Tensor, Tensor, list[GRUGates]]: ...
    def forward(
        self, x: Tensor, offsets: np.ndarray, state: State = None, return_weights: bool = False
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, list[GRUGates]]:
        """x [T, input_size], offsets [B + 1] → (output [T, D·hidden_size], state behind the last tokens).

        state [num_layers·D, B, hidden_size]: layer by layer, forward before backward; zeros where not given. With
        return_weights also the gates of each layer.
        """
        last, gates = [], []
        for index, weights in enumerate(self.layers):
            projected = weights.project(self._layer_inputs(index, x), both_biases=False)
            before = self._state_of(index, state, offsets)
            recurrent = weights.hidden_weight, weights.hidden_bias, before
            x, after = ops.gru(projected, offsets, *recurrent, self._direction)
            last.append(after)
            if return_weights:
                gates.append(layer_gates(gru_gates, projected, x, offsets, *recurrent))
        return (x, _stack(last), gates) if return_weights else (x, _stack(last))

    if TYPE_CHECKING:
        __call__ = forward


class LSTM(_Layers):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997); the formulas are in `ops.lstm`."""

    name = "lstm"
    gates = 4
    returns_weights = True

    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, state: LSTMState | None = None, return_weights: Literal[False] = False
    ) -> tuple[Tensor, LSTMState]: ...
    @overload
    def forward(
        self, x: Tensor, offsets: np.ndarray, state: LSTMState | None = None, *, return_weights: Literal[True]
    ) -> tuple[Tensor, LSTMState, list[LSTMGates]]: ...
    def forward(
        self, x: Tensor, offsets: np.ndarray, state: LSTMState | None = None, return_weights: bool = False
    ) -> tuple[Tensor, LSTMState] | tuple[Tensor, LSTMState, list[LSTMGates]]:
        """x [T, input_size], offsets [B + 1] → (output [T, D·hidden_size], (h, c) behind the last tokens).

        h and c [num_layers·D, B, hidden_size]: layer by layer, forward before backward; zeros where not given. With
        return_weights also the gates of each layer.
        """
        h, c = (None, None) if state is None else state
        last_h, last_c, gates = [], [], []
        for index, weights in enumerate(self.layers):
            projected = weights.project(self._layer_inputs(index, x), both_biases=True)
            before_h, before_c = self._state_of(index, h, offsets), self._state_of(index, c, offsets)
            before = None if before_h is None or before_c is None else (before_h, before_c)
            x, after = ops.lstm(projected, offsets, weights.hidden_weight, None, before, self._direction)
            last_h.append(after[0])
            last_c.append(after[1])
            if return_weights:
                recurrent = weights.hidden_weight, None, before_h
                gates.append(layer_gates(lstm_gates, projected, x, offsets, *recurrent))
        last = _stack(last_h), _stack(last_c)
        return (x, last, gates) if return_weights else (x, last)

    if TYPE_CHECKING:
        __call__ = forward


def _checked_nonlinearity(nonlinearity: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f'[rnn] expected the nonlinearity "tanh" or "relu", got "{nonlinearity}"')
    return nonlinearity


# --- cells


class RNNCell(Module):
    """One step of `RNN` at a time."""

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh") -> None:
        super().__init__()
        self.weights = RecurrentWeights(input_size, hidden_size, RNN.gates, bias)
        self.nonlinearity = _checked_nonlinearity(nonlinearity)

    def forward(self, x: Tensor, state: Tensor) -> Tensor:
        """x [R, input_size], state [R, hidden_size] → the new state."""
        return self.step(self.project(x), state)

    def project(self, x: Tensor) -> Tensor:
        """The inputs' part of a step [R, hidden_size]: may be had for many steps at once."""
        return self.weights.project(x, both_biases=True)

    def step(self, projected: Tensor, state: Tensor) -> Tensor:
        """The new state, given what `project` returned."""
        return ops.rnn_cell(projected, state, self.weights.hidden_weight, None, self.nonlinearity)


class GRUCell(Module):
    """One step of `GRU` at a time. A `step` too is a call of the module, which its hooks see."""

    returns_weights = True

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.weights = RecurrentWeights(input_size, hidden_size, GRU.gates, bias)

    @overload
    def forward(
        self, x: Tensor, state: Tensor, return_weights: Literal[False] = False, projected: bool = False
    ) -> Tensor: ...
    @overload
    def forward(
        self, x: Tensor, state: Tensor, return_weights: Literal[True], projected: bool = False
    ) -> tuple[Tensor, GRUGates]: ...
    def forward(
        self, x: Tensor, state: Tensor, return_weights: bool = False, projected: bool = False
    ) -> Tensor | tuple[Tensor, GRUGates]:
        """x [R, input_size], state [R, hidden_size] → the new state, and with return_weights the gates.

        projected: x is what `project` returned.
        """
        inputs = x if projected else self.project(x)
        recurrent = self.weights.hidden_weight, self.weights.hidden_bias
        new: Tensor = ops.gru_cell(inputs, state, *recurrent)
        return (new, gru_gates(inputs, ops.linear(state, *recurrent))) if return_weights else new

    if TYPE_CHECKING:
        __call__ = forward

    def project(self, x: Tensor) -> Tensor:
        """The inputs' part of a step [R, 3·hidden_size]: may be had for many steps at once."""
        return self.weights.project(x, both_biases=False)

    def step(self, projected: Tensor, state: Tensor) -> Tensor:
        """The new state, given what `project` returned."""
        return self(projected, state, projected=True)


class LSTMCell(Module):
    """One step of `LSTM` at a time. A `step` too is a call of the module, which its hooks see."""

    returns_weights = True

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.weights = RecurrentWeights(input_size, hidden_size, LSTM.gates, bias)

    @overload
    def forward(
        self, x: Tensor, state: LSTMState, return_weights: Literal[False] = False, projected: bool = False
    ) -> LSTMState: ...
    @overload
    def forward(
        self, x: Tensor, state: LSTMState, return_weights: Literal[True], projected: bool = False
    ) -> tuple[Tensor, Tensor, LSTMGates]: ...
    def forward(
        self, x: Tensor, state: LSTMState, return_weights: bool = False, projected: bool = False
    ) -> LSTMState | tuple[Tensor, Tensor, LSTMGates]:
        """x [R, input_size], state (h, c), each [R, hidden_size] → the new one, and with return_weights (h, c, gates).

        projected: x is what `project` returned.
        """
        inputs, weight = x if projected else self.project(x), self.weights.hidden_weight
        h, c = ops.lstm_cell(inputs, state, weight)
        return (h, c, lstm_gates(inputs, ops.linear(state[0], weight))) if return_weights else (h, c)

    if TYPE_CHECKING:
        __call__ = forward

    def project(self, x: Tensor) -> Tensor:
        """The inputs' part of a step [R, 4·hidden_size]: may be had for many steps at once."""
        return self.weights.project(x, both_biases=True)

    def step(self, projected: Tensor, state: LSTMState) -> LSTMState:
        """The new state, given what `project` returned."""
        return self(projected, state, projected=True)
