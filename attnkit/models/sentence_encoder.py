"""The Transformer encoder that makes vectors of texts."""

from __future__ import annotations

import numpy as np

from attnkit import nn
from attnkit._core import Tensor
from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.text_stack import make_text_stack

_POOLINGS: dict[str, type[nn.Module]] = {
    "mean": nn.MeanPooling,
    "cls": nn.FirstPooling,
    "max": nn.MaxPooling,
    "mean_sqrt_len": nn.RootMeanPooling,
    "weightedmean": nn.PositionPooling,
    "last": nn.LastPooling,
}


class SentenceEncoder(nn.Module):
    """One vector a text (Reimers and Gurevych, 2019). Everything is packed: ids int32 [T], offsets int32 [B + 1].

    Its `embedding` and `encoder` are those of a `TransformerClassifier` and of an `EncoderOnly`.
    """

    def __init__(self, config: SentenceEncoderConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding, self.encoder = make_text_stack(config, vocab_size)
        kinds = (config.pooling,) if isinstance(config.pooling, str) else config.pooling
        poolings = [_POOLINGS[kind]() for kind in kinds]
        self.pooling = poolings[0] if len(poolings) == 1 else nn.JoinedPooling(poolings)
        width = len(poolings) * config.d_model
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
