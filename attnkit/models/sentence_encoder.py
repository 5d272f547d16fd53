"""The Transformer encoder that makes vectors of texts."""

from __future__ import annotations

import numpy as np

from attnkit import nn
from attnkit._core import Tensor
from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.text_stack import make_text_stack


class SentenceEncoder(nn.Module):
    """One vector a text (Reimers and Gurevych, 2019). Everything is packed: ids int32 [T], offsets int32 [B + 1].

    Its `embedding` and `encoder` are those of a `TransformerClassifier` and of an `EncoderOnly`.
    """

    def __init__(self, config: SentenceEncoderConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding, self.encoder = make_text_stack(config, vocab_size)
        self.pooling = {"mean": nn.MeanPooling, "cls": nn.FirstPooling, "last": nn.LastPooling}[config.pooling]()
        width = config.d_model
        layers = []
        for projection in config.projections:
            layers.append(nn.Linear(width, projection.width, activation=projection.activation))
            width = projection.width
        self.projections = nn.ModuleList(layers)
        self.width = width
        """Of the vectors."""

    def states(self, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        """Texts, special tokens included → [T, d_model]."""
        return self.encoder(self.embedding(ids, nn.packed_positions(offsets)), offsets)

    def forward(self, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        """→ [B, width], not yet normalised."""
        vectors: Tensor = self.pooling(self.states(ids, offsets), offsets)
        for projection in self.projections:
            vectors = projection(vectors)
        return vectors
