"""The Transformer decoder that writes captions, over the regions of an image."""

from __future__ import annotations

import numpy as np

from attnkit import nn
from attnkit._core import Tensor
from attnkit.models.caption_lstm import Decoded
from attnkit.models.captioner_config import TransformerDecoderConfig
from attnkit.models.transformer import TransformerState
from attnkit.nn.normalisation import Norm, make_norm


class TransformerCaptionDecoder(nn.Module):
    """memory [S, memory_width] of B images, and captions → hidden [T, width], which the output layer reads."""

    attends = True

    def __init__(self, config: TransformerDecoderConfig, vocabulary: int, memory_width: int | None = None) -> None:
        """memory_width: the decoder's width where not given."""
        super().__init__()
        self.config = config
        self.embedding = _make_embedding(config, vocabulary)
        self.decoder = nn.TransformerDecoder(
            config.layers,
            config.width,
            config.heads,
            config.ffn,
            dropout=config.dropout,
            norm=config.norm,
            activation=config.activation,
            attention_dropout=config.attention_dropout,
            activation_dropout=config.activation_dropout,
            norm_kind=config.norm_kind,
            norm_eps=config.norm_eps,
            gated=config.gated,
            memory_width=memory_width,
        )
        self.transform: nn.Linear | None = None
        self.transform_norm: Norm | None = None
        if config.transform is not None:
            self.transform = nn.Linear(config.width, config.width, activation=config.transform)
            self.transform_norm = make_norm(config.norm_kind, config.width, config.norm_eps)

    def forward(self, memory: Tensor, offsets: np.ndarray, ids: np.ndarray, target_offsets: np.ndarray) -> Decoded:
        """ids int32 [T] and target_offsets [B + 1]: captions behind their start token."""
        embedded = self.embedding(ids, nn.packed_positions(target_offsets))
        return Decoded(self._transformed(self.decoder(embedded, target_offsets, memory, offsets)))

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
        return self._transformed(hidden), None if weights is None else weights.numpy()

    def _transformed(self, hidden: Tensor) -> Tensor:
        if self.transform is None or self.transform_norm is None:
            return hidden
        return self.transform_norm(self.transform(hidden))


def _make_embedding(config: TransformerDecoderConfig, vocabulary: int) -> nn.Embedding:
    c = config
    positions: nn.SinusoidalPositions | nn.LearnedPositions
    if c.positions == "learned":
        positions = nn.LearnedPositions(c.width, c.max_length, c.position_offset)
    else:
        positions = nn.SinusoidalPositions(
            c.width, halves=c.positions == "sinusoidal-halves", spacing=c.position_spacing, offset=c.position_offset
        )
    scale = c.width**0.5 if c.scale_embeddings else 1.0
    norm = make_norm(c.norm_kind, c.width, c.norm_eps) if c.embedding_norm else None
    return nn.Embedding(vocabulary, c.width, scale, positions, c.dropout, norm=norm)
