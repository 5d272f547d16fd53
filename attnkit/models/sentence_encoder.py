"""The Transformer encoder that makes vectors of texts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit.models.sentence_encoder_config import ONE_TOKEN, SentenceEncoderConfig
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
        poolings = [_POOLINGS[kind]() for kind in kinds if kind not in ONE_TOKEN]
        self.pooling: nn.Module | None = None
        if poolings:
            self.pooling = poolings[0] if len(poolings) == 1 else nn.JoinedPooling(poolings)
        width = len(kinds) * config.d_model
        layers = []
        for projection in config.projections:
            layers.append(nn.Linear(width, projection.width, activation=projection.activation))
            width = projection.width
        self.projections = nn.ModuleList(layers)
        self.width = width
        """Of the vectors."""

    def states(self, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        """Texts, special tokens included → [T, d_model]."""
        return self.encoder(self.embedding(ids, nn.packed_positions(offsets)), offsets, self.config.causal)

    def forward(self, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        """→ [B, width], not yet normalised."""
        vectors = self._pooled(self.states(ids, offsets), ids, offsets)
        for projection in self.projections:
            vectors = projection(vectors)
        return vectors

    def _pooled(self, states: Tensor, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        if self.pooling is not None:
            pooled: Tensor = self.pooling(states, offsets)
            return pooled
        wanted = np.asarray(ids)
        if self.config.pooling == "end":
            wanted = wanted == self.config.eos_id
        # The first of the largest; a text without the token that is looked for has the state of its first one.
        rows = [begin + int(np.argmax(wanted[begin:end])) for begin, end in pairwise(np.asarray(offsets).tolist())]
        return ops.gather_rows(states, np.array(rows, np.int32))
