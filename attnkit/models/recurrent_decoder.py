"""The decoder of the recurrent encoder-decoder.

One step is defined once, in `RecurrentDecoder.step`: training goes through it token by token wherever the attention
depends on the step before, and decoding always. Where it does not depend on it (no attention, or attention behind the
cell without input feeding), training runs the whole sequence at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from attnkit import _core, nn, ops
from attnkit._core import Tensor
from attnkit.models.own_classes import own_class
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.recurrent_encoder import LAYERS, CellState, Encoded, stacked
from attnkit.nn.time_major import TimeMajor

CELLS: dict[str, Any] = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


class DecoderState(NamedTuple):
    """What a row remembers from step to step.

    layers: the state of each layer [R, H]. feed [R, X]: what the cell reads beside the next word, where that is known a
    step ahead (the last readout, or the fixed context). coverage: flat, the weights so far.
    """

    layers: list[CellState]
    feed: Tensor | None = None
    coverage: Tensor | None = None

    def first(self, rows: int, pairs: int) -> DecoderState:
        """The first rows, which have the first `pairs` pairs."""
        if self.layers[0][0].shape[0] == rows:
            return self
        return DecoderState(
            [tuple(part[:rows] for part in layer) for layer in self.layers],
            None if self.feed is None else self.feed[:rows],
            None if self.coverage is None else self.coverage[:pairs],
        )


class Step(NamedTuple):
    """What a step gave: the top layer's state [R, H], the context [R, memory_size] that was attended to or is fixed,
    the flat weights, and what REINFORCE trains."""

    hidden: Tensor
    context: Tensor | None = None
    weights: Tensor | None = None
    choice: nn.Choice | None = None


class Decoded(NamedTuple):
    """readout [T, readout_size]: what each word of whole targets is predicted from; what REINFORCE trains; where
    the configuration wants a balance, looks [S]: the weights of each source token added up; and where they are asked
    for, the weights themselves, flat: of the sentences one by one, or, of a `sequential` decoder, step by step."""

    readout: Tensor
    choice: nn.Choice | None = None
    looks: Tensor | None = None
    weights: Tensor | None = None


class RecurrentDecoder(nn.Module):
    """Recurrent layers that read the last word, attend to the source, and say what the next word is predicted from."""

    def __init__(self, config: RecurrentConfig, shared: Any = None) -> None:
        """`shared`: recurrent layers to take instead of own ones."""
        super().__init__()
        self.config = config
        hidden, memory, embedded = config.hidden_size, config.memory_size, config.embedding_size
        readout = config.readout_size or embedded
        fixed = config.context != "first-state"
        self.rnn = shared or LAYERS[config.cell](
            embedded + (memory if fixed else 0), hidden, config.layers, dropout=config.dropout
        )
        self.cells = nn.ModuleList([self._cell(weights) for weights in self.rnn.layers])
        self.attention = _make_attention(config) if config.score != "none" else None
        # What the first cell reads beside the word, its own columns of the input matrix.
        feed = 0
        if self.attention is not None and (config.attend == "before" or config.input_feeding):
            feed = memory if config.attend == "before" else readout
        self.feed = nn.Linear(feed, self.rnn.gates * hidden, bias=False) if feed else None
        self.bridges = self._make_bridges() if config.context != "every-step" else None
        # Words depend on the state and the context; with the context before the cell, also on the last word.
        self.reads_word = fixed or (self.attention is not None and config.attend == "before")
        width = hidden + (memory if fixed or self.attention is not None else 0) + (embedded if self.reads_word else 0)
        self.readout = nn.Linear(width, readout, activation="tanh")

    def _cell(self, weights: nn.RecurrentWeights) -> Any:
        cell = CELLS[self.config.cell](1, 1)
        cell.weights = weights
        return cell

    def _make_bridges(self) -> nn.ModuleList[nn.Linear]:
        """From the encoder's last states to the decoder's first: tanh(W h) (Bahdanau et al., 2015, section A.2.2).

        Each layer has one, and a plain matrix for the cell of LSTM. An encoder without cells leaves these zero."""
        c = self.config
        size = c.encoder_size or c.hidden_size
        kinds = 2 if c.cell == "lstm" else 1
        return nn.ModuleList(
            [
                nn.Linear(size, c.hidden_size, activation=None if k else "tanh")
                for _ in range(c.layers)
                for k in range(kinds)
            ]
        )

    @property
    def sequential(self) -> bool:
        """Must training go step by step?"""
        return self.feed is not None or self.config.coverage

    def begin(self, encoded: Encoded) -> DecoderState:
        """The state before the first word, one row a sentence."""
        rows = encoded.summary.shape[0]
        layers = [self._first_state(i, encoded, rows) for i in range(self.config.layers)]
        feed = None
        if self.config.context != "first-state":
            feed = encoded.summary
        elif self.config.input_feeding:
            feed = _core.zeros((rows, self.readout.weight.shape[0]), self.device)
        coverage = None
        if self.config.coverage:
            coverage = _core.zeros((encoded.states.shape[0],), self.device)
        return DecoderState(layers, feed, coverage)

    def _first_state(self, layer: int, encoded: Encoded, rows: int) -> CellState:
        kinds = 2 if self.config.cell == "lstm" else 1
        if self.bridges is None:
            return tuple(_core.zeros((rows, self.config.hidden_size), self.device) for _ in range(kinds))
        return tuple(self.bridges[layer * kinds + kind](encoded.last[layer][kind]) for kind in range(kinds))

    def project(self, embedded: Tensor, context: Tensor | None = None) -> Tensor:
        """The first layer's part of words [T, E], with the fixed context [T, M] beside each: for any steps at once."""
        words = embedded if context is None else ops.concatenate([embedded, context], 1)
        projected: Tensor = self.cells[0].project(words)
        return projected

    def step(
        self,
        projected: Tensor,
        state: DecoderState,
        memory: nn.Memory | None,
        row_offsets: np.ndarray,
        position: int,
        expected: bool = False,
    ) -> tuple[Step, DecoderState]:
        """Moves each row on by one word, given by `project`; row_offsets say whose source a row reads.

        With input feeding, the caller puts the readout of the step into the new state. `expected`: see `nn.Attention`.
        """
        before, attended = self.config.attend == "before", None
        feed = state.feed
        if memory is not None and before:
            attended = self._attend(state.layers[-1][0], state, memory, row_offsets, position, expected)
            feed = attended.context
        if self.feed is not None and feed is not None:
            projected = projected + self.feed(feed)
        layers = self._through_cells(projected, state.layers)
        hidden = layers[-1][0]
        if memory is not None and not before:
            attended = self._attend(hidden, state, memory, row_offsets, position, expected)
        if attended is None:
            return Step(hidden, state.feed), state._replace(layers=layers)
        coverage = None if state.coverage is None else state.coverage + attended.weights
        return Step(hidden, *attended), DecoderState(layers, state.feed, coverage)

    def _attend(
        self,
        query: Tensor,
        state: DecoderState,
        memory: nn.Memory,
        row_offsets: np.ndarray,
        position: int,
        expected: bool,
    ) -> nn.Attended:
        assert self.attention is not None
        positions = np.full(query.shape[0], position, np.int32)
        return self.attention(query, memory, row_offsets, positions, state.coverage, expected)

    def _through_cells(self, projected: Tensor, states: list[CellState]) -> list[CellState]:
        layers: list[CellState] = []
        for index, (cell, state) in enumerate(zip(self.cells, states, strict=True)):
            if index:
                below = layers[-1][0]
                if self.training and self.config.dropout:
                    below = ops.dropout(below, self.config.dropout)
                projected = cell.project(below)
            new = cell.step(projected, state if len(state) == 2 else state[0])
            layers.append(new if isinstance(new, tuple) else (new,))
        return layers

    def read_out(self, hidden: Tensor, context: Tensor | None, embedded: Tensor) -> Tensor:
        """tanh(W [state; context; word]), of those that there are."""
        parts = [hidden] if context is None else [hidden, context]
        if self.reads_word:
            parts.append(embedded)
        return self.readout(parts[0] if len(parts) == 1 else ops.concatenate(parts, 1))

    def forward(
        self,
        embedded: Tensor,
        offsets: np.ndarray,
        encoded: Encoded,
        source_offsets: np.ndarray,
        return_weights: bool = False,
        expected: bool = False,
    ) -> Decoded:
        """All words of whole targets: embedded [T, E], the sentences longest first. `expected`: see `nn.Attention`."""
        memory = None if self.attention is None else self.attention.prepare(encoded.states, source_offsets)
        begun = self.begin(encoded)
        if self.sequential and memory is not None:
            return self._step_by_step(embedded, offsets, begun, memory, return_weights, expected)
        return self._at_once(embedded, offsets, begun, memory, return_weights, expected)

    def _at_once(
        self,
        embedded: Tensor,
        offsets: np.ndarray,
        begun: DecoderState,
        memory: nn.Memory | None,
        return_weights: bool,
        expected: bool,
    ) -> Decoded:
        inputs, context, choice, looks, weights = embedded, None, None, None, None
        if begun.feed is not None:
            sentence = np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))
            context = ops.gather_rows(begun.feed, sentence)
            inputs = ops.concatenate([embedded, context], 1)
        hidden, _ = self.rnn(inputs, offsets, stacked(begun.layers))
        if self.attention is not None and memory is not None:
            context, weights, choice = self.attention(hidden, memory, offsets, expected=expected)
            if self.config.balance:
                looks = ops.ragged_key_sums(weights, offsets, memory.offsets)
        readout = self.read_out(hidden, context, embedded)
        return Decoded(readout, choice, looks, weights if return_weights else None)

    def _step_by_step(
        self,
        embedded: Tensor,
        offsets: np.ndarray,
        state: DecoderState,
        memory: nn.Memory,
        return_weights: bool,
        expected: bool,
    ) -> Decoded:
        order, steps, readouts = TimeMajor(offsets), [], []
        looks = _core.zeros((memory.keys.shape[0],), self.device) if self.config.balance else None
        words = order.split(embedded) if self.config.input_feeding else []
        for t, projected in enumerate(order.split(self.project(embedded))):
            rows = projected.shape[0]
            state = state.first(rows, int(memory.offsets[rows]))
            step, state = self.step(projected, state, memory, order.offsets(t), t, expected)
            steps.append(step)
            if looks is not None and step.weights is not None:
                looks = looks + ops.ragged_key_sums(step.weights, order.offsets(t), memory.offsets)
            if self.config.input_feeding:
                readouts.append(self.read_out(step.hidden, step.context, words[t]))
                state = state._replace(feed=readouts[-1])
        if readouts:
            readout = order.join(readouts)
        else:
            hidden = order.join([step.hidden for step in steps])
            context = order.join([step.context for step in steps if step.context is not None])
            readout = self.read_out(hidden, context, embedded)
        choices = [step.choice for step in steps if step.choice is not None]
        choice = nn.Choice(*(order.join(part) for part in zip(*choices, strict=True))) if choices else None
        weights = [step.weights for step in steps if step.weights is not None] if return_weights else []
        return Decoded(readout, choice, looks, ops.concatenate(weights) if weights else None)


def _make_attention(config: RecurrentConfig) -> nn.Attention:
    query, memory, size = config.hidden_size, config.memory_size, config.attention_size or config.hidden_size
    scores: dict[str, Any] = {
        "additive": lambda: nn.AdditiveScore(query, memory, size, config.coverage),
        "concat": lambda: nn.ConcatScore(query, memory, size, config.coverage),
        "dot": lambda: nn.DotScore(query, memory),
        "scaled-dot": lambda: nn.ScaledDotScore(query, memory),
        "general": lambda: nn.GeneralScore(query, memory),
        "scaled-general": lambda: nn.ScaledGeneralScore(query, memory),
        "location": lambda: nn.LocationScore(query, config.max_length),
        "cosine": lambda: nn.CosineScore(query, memory),
    }
    normalisers: dict[str, Any] = {
        "softmax": nn.SoftmaxNormaliser,
        "local-m": lambda: nn.LocalMonotonicNormaliser(config.window),
        "local-p": lambda: nn.LocalPredictiveNormaliser(query, config.window),
        "hard": lambda: nn.HardNormaliser(config.hard_gradient == "straight-through"),
        "structured": nn.StructuredNormaliser,
    }
    score = scores[config.score] if config.score_class is None else _own_score(config.score_class, query, memory)
    normaliser = normalisers[config.normaliser]
    if config.normaliser_class is not None:
        normaliser = own_class(config.normaliser_class, nn.Normaliser, "normaliser_class")
    return nn.Attention(score(), normaliser())


def _own_score(name: str, query: int, memory: int) -> Callable[[], nn.Score]:
    kind: Any = own_class(name, nn.Score, "score_class")
    return functools.partial(kind, query, memory)
