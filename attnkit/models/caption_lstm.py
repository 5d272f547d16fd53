"""The LSTM that writes captions, with soft, hard or no attention to the regions of the image.

Show and Tell (Vinyals et al., 2015) and Show, Attend and Tell (Xu et al., 2015) are one decoder here. At each step it
has the state h before the word and the word's vector E y:

    z = Σ_i α_i a_i · sigmoid(f_β(h))         attention (h, a), gated by f_β: Xu et al., section 4.2.1
    h, c = LSTM([E y; z], h, c)               equations 1 to 3
    hidden = E y + L_h h + L_z z              equation 7; the output layer turns it into logits
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from attnkit import _core, nn, ops
from attnkit._core import Tensor
from attnkit._tensor import tensor
from attnkit.models.captioner_config import LSTMDecoderConfig
from attnkit.models.sources import Sources
from attnkit.nn.recurrent import LSTMState
from attnkit.nn.time_major import TimeMajor, sorted_offsets, tokens_of


class Decoded(NamedTuple):
    """What a decoder makes of the captions of a batch.

    hidden: [T, width], ready for the output layer. weights: for each step the flat attention weights of the captions
    that are that long, longest first. penalty: scalar, to be added to the summed loss of all tokens. choice: of hard
    attention, token by token as hidden. gates: [T], how far each word lets its attention in, β. None where the decoder
    has none of it.
    """

    hidden: Tensor
    weights: list[Tensor] | None = None
    penalty: Tensor | None = None
    choice: nn.Choice | None = None
    gates: Tensor | None = None


class LSTMCaptionDecoder(nn.Module):
    """memory [S, width] of B images, and captions → hidden [T, width]."""

    def __init__(self, config: LSTMDecoderConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.width, config.hidden
        self.embedding = nn.Embedding(vocabulary, width, dropout=config.dropout)
        self.cell = nn.LSTMCell(width, hidden)
        self.hidden = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(config.dropout)
        if config.attention == "none":
            self.first_input = nn.Linear(width, width)
            return
        normaliser = nn.SoftmaxNormaliser() if config.attention == "soft" else nn.HardNormaliser()
        self.attention = nn.Attention(nn.AdditiveScore(hidden, width, hidden), normaliser)
        self.first_state = nn.Linear(width, 2 * hidden, activation="tanh")
        self.gate = nn.Linear(hidden, 1, activation="sigmoid")
        self.context_gates = nn.Linear(width, 4 * hidden, bias=False)
        self.context = nn.Linear(width, width, bias=False)

    @property
    def attends(self) -> bool:
        return self.config.attention != "none"

    def forward(
        self,
        memory: Tensor,
        offsets: np.ndarray,
        ids: np.ndarray,
        target_offsets: np.ndarray,
        expected: bool = False,
    ) -> Decoded:
        """ids int32 [T] and target_offsets [B + 1]: captions behind their start token. `expected`: see
        `nn.Attention`."""
        steps = TimeMajor(target_offsets)
        memory, offsets = self._ordered(memory, offsets, steps.order)
        embedded = self.embedding(ids)
        state, prepared = self._begin(memory, offsets)
        states, contexts, weights, choices, gates = [], [], [], [], []
        for step, projected in enumerate(steps.split(self.cell.project(embedded))):
            rows = int(steps.active[step])
            if rows < state[0].shape[0]:
                state = (state[0][:rows], state[1][:rows])
            if prepared is not None:
                attended = self.attention(state[0], prepared, steps.offsets(step), expected=expected)
                gates.append(self.gate(state[0]))
                context = attended.context * gates[-1]
                projected = projected + self.context_gates(context)
                contexts.append(context)
                weights.append(attended.weights)
                choices.append(attended.choice)
            state = self.cell.step(projected, state)
            states.append(state[0])
        read = self._read(embedded, steps.join(states), steps.join(contexts) if contexts else None)
        penalty = self._coverage(offsets, steps, weights)
        opened = steps.join(gates).reshape(-1) if gates else None
        return Decoded(self.dropout(read), weights or None, penalty, _joined(choices, steps), opened)

    def start(self, memory: Tensor, offsets: np.ndarray) -> LSTMCaptionState:
        """A state of one row an image."""
        state, prepared = self._begin(memory, offsets)
        return LSTMCaptionState(state, prepared, Sources(offsets))

    def step(
        self, state: LSTMCaptionState, ids: np.ndarray, attention: bool = False
    ) -> tuple[Tensor, np.ndarray | None]:
        """One more token of every row → hidden [rows, width], and the weights [rows, regions] if asked for."""
        embedded = self.embedding(ids)
        projected = self.cell.project(embedded)
        context, weights = None, None
        if state.memory is not None:
            attended = self.attention(state.lstm[0], state.memory, state.sources.row_offsets())
            context = attended.context * self.gate(state.lstm[0])
            projected = projected + self.context_gates(context)
            weights = state.sources.spread(attended.weights.numpy()) if attention else None
        state.lstm = self.cell.step(projected, state.lstm)
        return self._read(embedded, state.lstm[0], context), weights

    def _begin(self, memory: Tensor, offsets: np.ndarray) -> tuple[LSTMState, nn.Memory | None]:
        mean = _means(memory, offsets)
        if self.attends:
            both = self.first_state(mean)
            hidden = self.config.hidden
            return (both[:, :hidden], both[:, hidden:]), self.attention.prepare(memory, offsets)
        zeros = _core.zeros((len(offsets) - 1, self.config.hidden), self.device)
        return self.cell(self.first_input(mean), (zeros, zeros)), None

    def _read(self, embedded: Tensor, hidden: Tensor, context: Tensor | None) -> Tensor:
        read = self.hidden(hidden)
        return read if context is None else read + embedded + self.context(context)

    def _ordered(self, memory: Tensor, offsets: np.ndarray, order: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """The images in another order."""
        if np.array_equal(order, np.arange(len(order))):
            return memory, offsets
        return ops.gather_rows(memory, tokens_of(offsets, order)), sorted_offsets(offsets, order)

    def _coverage(self, offsets: np.ndarray, steps: TimeMajor, weights: list[Tensor]) -> Tensor | None:
        """λ Σ_i (1 - Σ_t α_ti)² over the regions of all images: doubly stochastic attention."""
        if not (self.training and weights and self.config.coverage_penalty):
            return None
        # The weights of a step are those of the first images: sort all by the region that each is of, and add them up.
        counts = [int(offsets[active]) for active in steps.active]
        places = np.concatenate([np.arange(count, dtype=np.int32) for count in counts])
        by_region = ops.gather_rows(ops.concatenate(weights).reshape(-1, 1), np.argsort(places, kind="stable"))
        groups = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=int(offsets[-1])))])
        ones = tensor(np.ones(len(places), np.float32), device=by_region.device)
        missing = 1.0 - ops.ragged_sums(ones, by_region, np.arange(len(groups)), groups)
        return (missing * missing).sum() * self.config.coverage_penalty


class LSTMCaptionState:
    """The captions that are being written: the LSTM's state by row, and by image what is attended to."""

    def __init__(self, lstm: LSTMState, memory: nn.Memory | None, sources: Sources) -> None:
        self.lstm, self.memory, self.sources = lstm, memory, sources

    @property
    def rows(self) -> int:
        return len(self.sources.of_row)

    def select(self, rows: np.ndarray) -> None:
        """New row i is old row rows[i]. Images that lose their last row are dropped."""
        self.lstm = _rows(self.lstm, rows)
        kept = self.sources.select(rows)
        if self.memory is not None and kept is not None:
            keys, values = ops.gather_rows(self.memory.keys, kept), ops.gather_rows(self.memory.values, kept)
            self.memory = nn.Memory(keys, values, self.sources.offsets)


def _rows(state: LSTMState, rows: np.ndarray) -> LSTMState:
    return ops.gather_rows(state[0], rows), ops.gather_rows(state[1], rows)


def _means(memory: Tensor, offsets: np.ndarray) -> Tensor:
    """The mean region of each image, [B, width]."""
    lengths = np.diff(offsets)
    weights = tensor(np.repeat(1.0 / np.maximum(lengths, 1), lengths).astype(np.float32), device=memory.device)
    return ops.ragged_sums(weights, memory, np.arange(len(offsets)), offsets)


def _joined(choices: list[nn.Choice | None], steps: TimeMajor) -> nn.Choice | None:
    """The choices of all steps, caption by caption."""
    made = [choice for choice in choices if choice is not None]
    if not made:
        return None
    log_probability, entropy = (steps.join([each[field].reshape(-1, 1) for each in made]) for field in range(2))
    return nn.Choice(log_probability.reshape(-1), entropy.reshape(-1))
