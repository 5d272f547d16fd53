"""The Transformer decoder that writes captions, over the regions of an image."""

from __future__ import annotations

import numpy as np

from attnkit import nn
from attnkit._core import Tensor
from attnkit.models.caption_lstm import Decoded
from attnkit.models.captioner_config import TransformerDecoderConfig
from attnkit.models.transformer import TransformerState


class TransformerCaptionDecoder(nn.Module):
    """memory [S, width] of B images, and captions → hidden [T, width]."""

    attends = True

    def __init__(self, config: TransformerDecoderConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        positions = nn.LearnedPositions(config.width, config.max_length)
        self.embedding = nn.Embedding(vocabulary, config.width, config.width**0.5, positions, config.dropout)
        self.decoder = nn.TransformerDecoder(
            config.layers,
            config.width,
            config.heads,
            config.ffn,
            dropout=config.dropout,
            norm="pre",
            activation=config.activation,
            attention_dropout=config.attention_dropout,
            norm_kind=config.norm_kind,
            norm_eps=config.norm_eps,
            gated=config.gated,
        )

    def forward(self, memory: Tensor, offsets: np.ndarray, ids: np.ndarray, target_offsets: np.ndarray) -> Decoded:
        """ids int32 [T] and target_offsets [B + 1]: captions behind their start token."""
        embedded = self.embedding(ids, nn.packed_positions(target_offsets))
        return Decoded(self.decoder(embedded, target_offsets, memory, offsets))

    def start(self, memory: Tensor, offsets: np.ndarray) -> TransformerState:
        """A state of one row an image."""
        state = self.decoder.start(memory, np.asarray(offsets, dtype=np.int32))
        return TransformerState(state, self.decoder.fuse())

    def step(
        self, state: TransformerState, ids: np.ndarray, attention: bool = False
    ) -> tuple[Tensor, np.ndarray | None]:
        """One more token of every row → hidden [rows, width], and the weights [rows, regions], the mean over heads of
        the last layer, if asked for."""
        x = self.embedding.at(ids, state.decoder.position)
        hidden, weights = self.decoder.step(x, state.decoder, state.fused, attention)
        return hidden, None if weights is None else weights.numpy()
