"""The recurrent encoder-decoder with attention (Bahdanau et al., 2015; Luong et al., 2015) or without (Sutskever et
al., 2014; Cho et al., 2014): training, scoring and a step of decoding, defined once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit._tensor import no_grad, tensor
from attnkit.decoding.protocol import StepOutput
from attnkit.decoding.sources import Packed
from attnkit.models.guided_alignment import alignment_loss, block_places, step_places
from attnkit.models.output import LossOutput, WritesText
from attnkit.models.recurrent_config import RecurrentConfig
from attnkit.models.recurrent_decoder import Decoded, DecoderState, RecurrentDecoder
from attnkit.models.recurrent_encoder import (
    Autoencoder,
    Encoded,
    LanguageModel,
    RecurrentEncoder,
    make_embedding,
)
from attnkit.models.reinforce import Attempt, Reinforce, make_reinforce
from attnkit.models.sources import Sources
from attnkit.nn import init
from attnkit.nn.time_major import sorted_offsets, tokens_of
from attnkit.text.tokenizers.vocabulary import BOS

_NONE = np.zeros(0, np.int32)


class Recurrent(WritesText):
    """Encoder and decoder with their embeddings. Everything is packed: ids int32 [T], offsets int32 [B + 1]."""

    config: RecurrentConfig

    def __init__(self, config: RecurrentConfig, source_vocab_size: int, target_vocab_size: int) -> None:
        super().__init__()
        if config.tie_embeddings == "all" and source_vocab_size != target_vocab_size:
            raise ValueError(
                '[recurrent] tie_embeddings = "all" needs one vocabulary for both languages, '
                f"got {source_vocab_size} and {target_vocab_size} entries"
            )
        self.config = config
        self.vocabulary_size = target_vocab_size
        self.encoder = RecurrentEncoder(config, source_vocab_size)
        shared = self.encoder.embedding.weight if config.tie_embeddings == "all" else None
        self.target_embedding = make_embedding(config, target_vocab_size, shared)
        self.decoder = RecurrentDecoder(config, self.encoder.layers if config.share_weights else None)
        self.dropout = nn.Dropout(config.dropout)
        readout = config.readout_size or config.embedding_size
        self.generator = None if config.tie_embeddings != "none" else nn.Linear(readout, target_vocab_size)
        reinforced = config.normaliser == "hard" and config.hard_gradient == "reinforce"
        self.reinforce = make_reinforce(config, target_vocab_size, config.baseline_decay) if reinforced else None
        self.pretraining = self._make_pretraining(source_vocab_size)

    def _make_pretraining(self, vocabulary: int) -> Pretraining | None:
        c = self.config
        if c.encoder_pretraining == "none":
            return None
        head = Autoencoder if c.encoder_pretraining == "autoencoder" else LanguageModel
        return Pretraining(head(c, vocabulary), c.pretraining_batches)

    @property
    def max_source_length(self) -> int:
        """In tokens, eos included."""
        return self.config.max_length

    @property
    def tied_weight(self) -> Tensor:
        return self.target_embedding.weight

    def encode(self, source_ids: np.ndarray, source_offsets: np.ndarray) -> Encoded:
        """The states of the sources; outside the tape where the encoder is frozen."""
        encoded = self.encoder(source_ids, source_offsets)
        return encoded.detach() if self.config.freeze_encoder else encoded

    @property
    def stage(self) -> str:
        """What training does before it trains the whole, for the log (see `attnkit.training.task.Task`)."""
        if self.pretraining is not None and not self.pretraining.is_over():
            return "pretraining"
        return "soft attention" if self.reinforce is not None and self.reinforce.is_soft() else ""

    def load_state_dict(self, state: Mapping[str, np.ndarray | Tensor], adopt: bool = False) -> None:
        super().load_state_dict(state if self.reinforce is None else self.reinforce.complete(state), adopt)

    def decode(self, batch: Sorted, return_weights: bool = False) -> Decoded:
        """What each target word is predicted from, the sentences in the order of `Sorted`."""
        return self._decode(batch, *self._read(batch), return_weights)

    def _read(self, batch: Sorted) -> tuple[Tensor, Encoded]:
        """The target words before each word, as vectors, and the states of the sources."""
        encoded = self.encode(batch.source_ids, batch.source_offsets)  # first, as dropout drew its numbers always
        return self._embed(batch.target_input_ids), encoded

    def _decode(
        self, batch: Sorted, embedded: Tensor, encoded: Encoded, return_weights: bool = False, expected: bool = False
    ) -> Decoded:
        return self.decoder(embedded, batch.target_offsets, encoded, batch.source_offsets, return_weights, expected)

    def _embed(self, ids: np.ndarray) -> Tensor:
        """What the decoder reads of the last words; a blank is the vector of the start token."""
        return self.target_embedding(np.full(len(ids), BOS, np.int32) if self.config.blank_inputs else ids)

    def forward(self, batch: Any) -> Tensor:
        """Logits [T, V] of a batch; for looking at, since training never needs them all at once."""
        return self.logits(self.hidden(batch))

    def hidden(self, batch: Any) -> Tensor:
        """[T, readout]: what each target word of a batch is predicted from."""
        ordered = Sorted.of(batch)
        return ops.gather_rows(self.decode(ordered).readout, np.argsort(ordered.tokens).astype(np.int32))

    def loss(self, batch: Any, label_smoothing: float = 0.1, alignment_weight: float = 0.0) -> LossOutput:
        """The loss of a batch (see attnkit.text.Batch). A new model with pretraining first trains its encoder alone.

        alignment_weight: how much `alignment_loss` adds to it, the mean over target tokens, of the attention against
        the links of the batch.
        """
        if self.training and self.pretraining is not None and self.pretraining.next_batch():
            return self.pretraining.head.loss(self.encoder, batch.source_ids, batch.source_offsets, label_smoothing)
        ordered = Sorted.of(batch)
        if self.training and self.reinforce is not None:
            return self._reinforced(self.reinforce, ordered, label_smoothing)
        decoded = self.decode(ordered, return_weights=alignment_weight > 0.0)
        loss, nll_sum, tokens = self.word_loss(self.dropout(decoded.readout), ordered.target_labels, label_smoothing)
        if self.training and decoded.looks is not None:
            missed = 1.0 - decoded.looks
            loss = loss + (missed * missed).sum() * (self.config.balance / tokens)
        output = LossOutput(loss, nll_sum, tokens)
        if decoded.weights is None:
            return output
        places = step_places(ordered) if self.decoder.sequential else block_places(ordered)
        return output.plus(alignment_loss(decoded.weights, places, ordered.link_targets), alignment_weight)

    def _reinforced(self, reinforce: Reinforce, batch: Sorted, label_smoothing: float) -> LossOutput:
        embedded, encoded = self._read(batch)

        def attempt(soft: bool) -> Attempt:
            decoded = self._decode(batch, embedded, encoded, expected=soft)
            readout = self.dropout(decoded.readout)
            output = self.word_loss(readout, batch.target_labels, label_smoothing)
            return Attempt(output, -self._word_losses(readout, batch.target_labels), decoded.choice)

        return reinforce(attempt, batch.target_offsets if self.decoder.sequential else None)

    def _word_losses(self, readout: Tensor, labels: np.ndarray) -> np.ndarray:
        """-log p of each label [T], outside the tape; by blocks, since the logits of a batch take much memory."""
        block, losses = 512, []
        with no_grad():
            for begin in range(0, len(labels), block):
                logits = self.logits(readout[begin : begin + block])
                losses.append(ops.cross_entropy(logits, labels[begin : begin + block], reduction="none").numpy())
        return np.concatenate(losses)

    def start(self, source: Packed) -> RecurrentState:
        """Reads sources for decoding: a state of one row a sentence."""
        with no_grad():
            encoded = self.encode(source.ids, source.offsets)
            attention = self.decoder.attention
            memory = None if attention is None else attention.prepare(encoded.states, source.offsets)
            return RecurrentState(self.decoder.begin(encoded), memory, source.offsets)

    def step(self, state: RecurrentState, ids: np.ndarray, attention: bool = False) -> StepOutput:
        """Feeds the last token of every row → the next token's projection, and attention [rows, source]."""
        if attention and self.decoder.attention is None:
            raise ValueError('[recurrent] expected a model with attention, got one trained with score = "none"')
        decoder = self.decoder
        with no_grad():
            word = self._embed(ids)
            fixed = state.hidden.feed if self.config.context != "first-state" else None
            step, hidden = decoder.step(
                decoder.project(word, fixed), state.hidden, state.memory, state.sources.row_offsets(), state.position
            )
            readout = decoder.read_out(step.hidden, step.context, word)
            state.hidden = hidden._replace(feed=readout) if self.config.input_feeding else hidden
        state.position += 1
        weights = step.weights if attention else None
        return StepOutput(
            attention=None if weights is None else state.sources.spread(weights.numpy()),
            projection=self.projection(readout),
        )


class Sorted(NamedTuple):
    """A batch with its longest targets first, as the decoder takes it; `tokens` says where its target tokens were."""

    source_ids: np.ndarray
    source_offsets: np.ndarray
    target_input_ids: np.ndarray
    target_labels: np.ndarray
    target_offsets: np.ndarray
    tokens: np.ndarray
    link_sources: np.ndarray
    link_targets: np.ndarray

    @classmethod
    def of(cls, batch: Any) -> Sorted:
        """From an attnkit.text.Batch."""
        order = np.argsort(-np.diff(batch.target_offsets), kind="stable")
        tokens, source_tokens = tokens_of(batch.target_offsets, order), tokens_of(batch.source_offsets, order)
        links = getattr(batch, "link_targets", _NONE)
        return cls(
            batch.source_ids[source_tokens],
            sorted_offsets(batch.source_offsets, order),
            batch.target_input_ids[tokens],
            batch.target_labels[tokens],
            sorted_offsets(batch.target_offsets, order),
            tokens,
            np.argsort(source_tokens)[batch.link_sources] if len(links) else _NONE,
            np.argsort(tokens)[links] if len(links) else _NONE,
        )


class Pretraining(nn.Module):
    """What trains the encoder by itself, for the first batches of training.

    The count is a parameter that no gradient reaches, so that a checkpoint has it.
    """

    def __init__(self, head: Autoencoder | LanguageModel, batches: int) -> None:
        super().__init__()
        self.head = head
        self.batches = batches
        self.count = init.constant((1,), 0.0)

    def is_over(self) -> bool:
        return self.count.item() >= self.batches

    def next_batch(self) -> bool:
        """Counts a batch; is it one of the first?"""
        if self.is_over():
            return False
        self.count.copy_(np.array([self.count.item() + 1], np.float32))
        return True


class RecurrentState:
    """The hypotheses that are being written: the decoder's state of each row, and the memory that rows share."""

    def __init__(self, hidden: DecoderState, memory: nn.Memory | None, source_offsets: np.ndarray) -> None:
        self.hidden = hidden
        self.memory = memory
        self.sources = Sources(source_offsets)
        self.position = 0

    @property
    def rows(self) -> int:
        return len(self.sources.of_row)

    def select(self, rows: np.ndarray) -> None:
        """New row i is old row rows[i]. Sources that lose their last row are dropped."""
        if len(rows) == self.rows and np.array_equal(rows, np.arange(self.rows)):
            return
        pairs = tokens_of(self.sources.pair_offsets(), rows) if self.hidden.coverage is not None else rows
        self.hidden = _select(self.hidden, rows, pairs)
        tokens = self.sources.select(rows)
        if tokens is not None and self.memory is not None:
            keys, values = (ops.gather_rows(x, tokens) for x in (self.memory.keys, self.memory.values))
            self.memory = nn.Memory(keys, values, self.sources.offsets)


def _select(state: DecoderState, rows: np.ndarray, pairs: np.ndarray) -> DecoderState:
    return DecoderState(
        [tuple(ops.gather_rows(part, rows) for part in layer) for layer in state.layers],
        None if state.feed is None else ops.gather_rows(state.feed, rows),
        None if state.coverage is None else tensor(state.coverage.numpy()[pairs], device=state.coverage.device),
    )
