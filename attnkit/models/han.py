"""The hierarchical attention network (Yang et al., 2016): words make sentences, sentences make the document."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit.models.document_classifier import DocumentClassifier, DocumentWeights
from attnkit.models.han_config import HanConfig


class AttentiveEncoder(nn.Module):
    """One level of the hierarchy: a bidirectional GRU, whose states attention sums into one vector a sequence."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, hidden, bidirectional=True)
        self.pooling = nn.AttentionPooling(2 * hidden, 2 * hidden)

    def forward(self, x: Tensor, offsets: np.ndarray) -> tuple[Tensor, Tensor]:
        """x [T, width] → ([B, 2·hidden], the attention [T])."""
        states, _ = self.gru(x, offsets)
        return self.pooling(states, offsets, return_weights=True)


class HierarchicalAttention(DocumentClassifier):
    """Word vectors, a word level, a sentence level, and a linear layer (equations 1 to 11 of the paper)."""

    def __init__(self, config: HanConfig, vocab_size: int, classes: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocab_size, config.embedding, dropout=config.dropout)
        self.words = AttentiveEncoder(config.embedding, config.word_hidden)
        self.sentences = AttentiveEncoder(2 * config.word_hidden, config.sentence_hidden)
        self.output = nn.Linear(2 * config.sentence_hidden, classes)

    @overload
    def represent(self, batch: Any, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def represent(self, batch: Any, return_weights: Literal[True]) -> tuple[Tensor, DocumentWeights]: ...
    def represent(self, batch: Any, return_weights: bool = False) -> Tensor | tuple[Tensor, DocumentWeights]:
        """→ [B, 2·sentence_hidden], and with return_weights `DocumentWeights`. An empty document gives zeros."""
        embedded = self.embedding(batch.ids)
        sentences, word_weights = self.words(embedded, batch.sentence_offsets)
        documents, sentence_weights = self.sentences(self._drop(sentences), batch.document_offsets)
        vectors = self._drop(documents)
        if not return_weights:
            return vectors
        return vectors, DocumentWeights(word_weights.numpy().copy(), sentence_weights.numpy().copy())

    def _drop(self, vectors: Tensor) -> Tensor:
        rate = self.config.dropout if self.training else 0.0
        return ops.dropout(vectors, rate) if rate else vectors
