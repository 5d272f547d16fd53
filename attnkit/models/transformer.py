"""The Transformer that translates (Vaswani et al., 2017): training, scoring and a step of decoding, defined once."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from attnkit import _core, nn
from attnkit._core import Tensor
from attnkit._tensor import no_grad
from attnkit.decoding.protocol import StepOutput
from attnkit.decoding.sources import Packed
from attnkit.models.guided_alignment import alignment_loss, block_places
from attnkit.models.output import LossOutput, WritesText
from attnkit.models.text_stack import layer_options, make_embedding
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn import init


class Transformer(WritesText):
    """Encoder and decoder with their embeddings. Everything is packed: ids int32 [T], offsets int32 [B + 1]."""

    config: TransformerConfig

    def __init__(self, config: TransformerConfig, source_vocab_size: int, target_vocab_size: int) -> None:
        super().__init__()
        joint = config.tie_embeddings in ("all", "inputs")
        if joint and source_vocab_size != target_vocab_size:
            raise ValueError(
                f'[transformer] tie_embeddings = "{config.tie_embeddings}" needs one vocabulary for both languages, '
                f"got {source_vocab_size} and {target_vocab_size} entries"
            )
        if max(config.bos_id, config.eos_id) >= target_vocab_size:
            raise ValueError(
                f"[transformer] expected bos_id and eos_id below the {target_vocab_size} target entries, "
                f"got {config.bos_id} and {config.eos_id}"
            )
        self.config = config
        self.bos_id, self.eos_id = config.bos_id, config.eos_id
        self.vocabulary_size = target_vocab_size
        self.source_embedding = make_embedding(config, source_vocab_size)
        shared = self.source_embedding.weight if joint else None
        self.target_embedding = make_embedding(config, target_vocab_size, shared)
        options = layer_options(config)
        self.encoder = nn.TransformerEncoder(
            config.encoder_layers,
            config.d_model,
            config.heads,
            config.ffn,
            position_bias=_relative(config, config.heads, bidirectional=True),
            **options,
        )
        self.decoder_heads = config.decoder_heads or config.heads
        self.decoder = nn.TransformerDecoder(
            config.decoder_layers,
            config.d_model,
            self.decoder_heads,
            config.decoder_ffn or config.ffn,
            position_bias=_relative(config, self.decoder_heads, bidirectional=False),
            alignment_layer=config.alignment_layer,
            alignment_head=config.alignment_head,
            ssru=config.decoder == "ssru",
            **options,
        )
        self.generator = (
            None if config.tie_embeddings in ("all", "decoder") else nn.Linear(config.d_model, target_vocab_size)
        )
        has_bias = self.generator is None and config.output_bias
        self.tied_output_bias = init.constant((target_vocab_size,), 0.0) if has_bias else None

    @property
    def max_source_length(self) -> int:
        """In tokens, eos included."""
        return self.config.max_length

    @property
    def tied_weight(self) -> Tensor:
        return self.target_embedding.weight

    @property
    def tied_bias(self) -> Tensor | None:
        return self.tied_output_bias

    def encode(self, source_ids: np.ndarray, source_offsets: np.ndarray) -> Tensor:
        """→ [S, d_model]."""
        return self.encoder(self.source_embedding(source_ids, nn.packed_positions(source_offsets)), source_offsets)

    @overload
    def decode(
        self,
        target_input_ids: np.ndarray,
        target_offsets: np.ndarray,
        memory: Tensor,
        source_offsets: np.ndarray,
        return_weights: Literal[False] = False,
    ) -> Tensor: ...
    @overload
    def decode(
        self,
        target_input_ids: np.ndarray,
        target_offsets: np.ndarray,
        memory: Tensor,
        source_offsets: np.ndarray,
        return_weights: Literal[True],
    ) -> tuple[Tensor, list[Tensor]]: ...
    def decode(
        self,
        target_input_ids: np.ndarray,
        target_offsets: np.ndarray,
        memory: Tensor,
        source_offsets: np.ndarray,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """→ [T, d_model], and with return_weights the flat cross-attention weights of each layer."""
        embedded = self.target_embedding(target_input_ids, nn.packed_positions(target_offsets))
        return self.decoder(embedded, target_offsets, memory, source_offsets, return_weights)

    def forward(self, batch: Any) -> Tensor:
        """Logits [T, V] of a batch; for looking at, since training never needs them all at once."""
        return self.logits(self.hidden(batch))

    def hidden(self, batch: Any) -> Tensor:
        """[T, d_model]: what each target word of a batch is predicted from."""
        memory = self.encode(batch.source_ids, batch.source_offsets)
        return self.decode(batch.target_input_ids, batch.target_offsets, memory, batch.source_offsets)

    def loss(self, batch: Any, label_smoothing: float = 0.1, alignment_weight: float = 0.0) -> LossOutput:
        """The loss of a batch (see attnkit.text.Batch).

        alignment_weight: how much `alignment_loss` adds to it, the mean over target tokens, of the alignment head's
        attention against the links of the batch.
        """
        if not alignment_weight:
            return self.word_loss(self.hidden(batch), batch.target_labels, label_smoothing)
        memory = self.encode(batch.source_ids, batch.source_offsets)
        embedded = self.target_embedding(batch.target_input_ids, nn.packed_positions(batch.target_offsets))
        hidden, weights = self.decoder.align(embedded, batch.target_offsets, memory, batch.source_offsets)
        cost = alignment_loss(weights, block_places(batch), batch.link_targets)
        return self.word_loss(hidden, batch.target_labels, label_smoothing).plus(cost, alignment_weight)

    def start(self, source: Packed) -> TransformerState:
        """Reads sources for decoding: a state of one row a sentence."""
        with no_grad():
            memory = self.encode(source.ids, source.offsets)
            state = self.decoder.start(memory, source.offsets)
        return TransformerState(state, self.decoder.fuse())

    def step(self, state: TransformerState, ids: np.ndarray, attention: bool = False) -> StepOutput:
        """Feeds the last token of every row → the next token's projection, and attention [rows, longest source]."""
        with no_grad():
            x = self.target_embedding.at(ids, state.decoder.position)
            hidden, weights = self.decoder.step(x, state.decoder, state.fused, attention)
        return StepOutput(
            attention=None if weights is None else weights.numpy(),
            projection=self.projection(hidden),
        )


class TransformerState:
    """The hypotheses that are being written: `decoder` holds the keys and values of their tokens and sources."""

    __slots__ = ("decoder", "fused")

    def __init__(self, decoder: _core.DecoderState, fused: _core.DecoderStack | None) -> None:
        self.decoder = decoder
        self.fused = fused

    @property
    def rows(self) -> int:
        return self.decoder.rows

    def select(self, rows: np.ndarray) -> None:
        """New row i is old row rows[i]."""
        self.decoder.select(rows)


def _relative(config: TransformerConfig, heads: int, bidirectional: bool) -> nn.RelativePositionBias | None:
    """The relative positions of a stack; its own even where both have them."""
    if not config.relative_buckets:
        return None
    return nn.RelativePositionBias(heads, config.relative_buckets, config.relative_distance, bidirectional)
