"""The decoder-only Transformer, a language model: training, scoring and a step of decoding, defined once."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from attnkit import _core, nn
from attnkit._core import Tensor
from attnkit._tensor import no_grad
from attnkit.decoding.protocol import StepOutput
from attnkit.decoding.sources import Nothing
from attnkit.models.decoder_only_config import DecoderOnlyConfig
from attnkit.models.output import LossOutput, WritesText
from attnkit.models.text_stack import make_text_stack


class DecoderOnly(WritesText):
    """Predicts each token of a text from those before it. Everything is packed: ids int32 [T], offsets int32 [B + 1].

    For decoding, a text has no source, and a prompt is a forced prefix. Where the model has no start token, the first
    token of a prompt takes its place, and the end token before a text without a prompt.
    """

    def __init__(self, config: DecoderOnlyConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.vocabulary_size = vocab_size
        self.eos_id = config.eos_id
        self.bos_id = config.eos_id if config.bos_id is None else config.bos_id
        self.embedding, self.layers = make_text_stack(config, vocab_size)
        self.generator = None if config.tie_embeddings else nn.Linear(config.d_model, vocab_size)

    @property
    def tied_weight(self) -> Tensor:
        return self.embedding.weight

    @overload
    def states(self, ids: np.ndarray, offsets: np.ndarray, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def states(
        self, ids: np.ndarray, offsets: np.ndarray, return_weights: Literal[True]
    ) -> tuple[Tensor, list[Tensor]]: ...
    def states(
        self, ids: np.ndarray, offsets: np.ndarray, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Texts, each beginning with bos → [T, d_model], and with return_weights the flat attention of each layer."""
        embedded = self.embedding(ids, nn.packed_positions(offsets))
        return self.layers(embedded, offsets, causal=True, return_weights=return_weights)

    def forward(self, batch: Any) -> Tensor:
        """Logits [T, V] of a batch; for looking at, since training never needs them all at once."""
        hidden = self.states(batch.target_input_ids, batch.target_offsets)
        return self.logits(hidden)

    def loss(self, batch: Any, label_smoothing: float = 0.0) -> LossOutput:
        """The loss of the targets of a batch (see attnkit.text.Batch); it has no sources."""
        hidden = self.states(batch.target_input_ids, batch.target_offsets)
        return self.word_loss(hidden, batch.target_labels, label_smoothing)

    def attention(self, ids: np.ndarray) -> np.ndarray:
        """How much each token of one text, bos first, looked at itself and those before it: [T, T], of the last layer,
        the mean over heads."""
        with no_grad():
            _, weights = self.states(ids, np.array([0, len(ids)], np.int32), return_weights=True)
        flat = weights[-1].numpy()
        mean: np.ndarray = flat.reshape(self.config.heads, len(ids), len(ids)).mean(axis=0)
        return mean

    def start(self, source: Nothing) -> DecoderOnlyState:
        """A state of one row a text."""
        return DecoderOnlyState(self.layers.start(source.texts))

    def step(self, state: DecoderOnlyState, ids: np.ndarray, attention: bool = False) -> StepOutput:
        """Feeds the last token of every row → the next token's projection; `attention` is for models with a source, and
        must be False."""
        if attention:
            raise ValueError("[decode] expected attention=False: a language model has no source to attend to")
        with no_grad():
            x = self.embedding.at(ids, state.decoder.position)
            hidden = self.layers.step(x, state.decoder)
        return StepOutput(projection=self.projection(hidden))


class DecoderOnlyState:
    """The texts that are being written: `decoder` holds the keys and values of their tokens."""

    __slots__ = ("decoder",)

    def __init__(self, decoder: _core.DecoderState) -> None:
        self.decoder = decoder

    @property
    def rows(self) -> int:
        return self.decoder.rows

    def select(self, rows: np.ndarray) -> None:
        """New row i is old row rows[i]."""
        self.decoder.select(rows)
