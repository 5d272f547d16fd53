"""The Transformer encoder that classifies documents."""

from __future__ import annotations

from typing import Any, Literal, overload

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit._tensor import index_array
from attnkit.models.document_classifier import DocumentClassifier, DocumentWeights
from attnkit.models.text_stack import make_text_stack
from attnkit.models.transformer_classifier_config import TransformerClassifierConfig


class TransformerClassifier(DocumentClassifier):
    """Embeddings, a Transformer encoder, pooling, and a linear layer. Each document is one sentence of the batch."""

    def __init__(self, config: TransformerClassifierConfig, vocab_size: int, classes: int) -> None:
        super().__init__()
        self.config = config
        self.embedding, self.encoder = make_text_stack(config, vocab_size)
        self.pooling = _make_pooling(config)
        self.pooler = nn.Linear(config.d_model, config.d_model, activation=config.pooler) if config.pooler else None
        self.output = nn.Linear(config.d_model, classes)

    @overload
    def represent(self, batch: Any, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def represent(self, batch: Any, return_weights: Literal[True]) -> tuple[Tensor, DocumentWeights]: ...
    def represent(self, batch: Any, return_weights: bool = False) -> Tensor | tuple[Tensor, DocumentWeights]:
        """→ [B, d_model]; with return_weights also `DocumentWeights`; the one sentence of a document has weight 1.

        The word weights are those of the pooling; with "cls" they are the attention of the start token in the last
        layer, averaged over heads, and with "last" that of the last token.
        """
        offsets = index_array(batch.sentence_offsets[batch.document_offsets])
        x = self.embedding(batch.ids, nn.packed_positions(offsets))
        causal = self.config.causal
        if not return_weights:
            return self._drop(self.pooling(self.encoder(x, offsets, causal), offsets))
        states, attention = self.encoder(x, offsets, causal, return_weights=True)
        vectors, pooling = self.pooling(states, offsets, return_weights=True)
        if self.config.pooling in ("cls", "last"):
            row = 0 if self.config.pooling == "cls" else -1
            words = _rows(attention[-1].numpy(), offsets, self.config.heads, row)
        else:
            words = pooling.numpy().copy()
        return self._drop(vectors), DocumentWeights(words, np.ones(len(batch.sentence_offsets) - 1, np.float32))

    def _drop(self, vectors: Tensor) -> Tensor:
        rate = self.config.dropout if self.training else 0.0
        if self.pooler is not None:
            vectors = self.pooler(vectors)
        return ops.dropout(vectors, rate) if rate else vectors


def _make_pooling(
    config: TransformerClassifierConfig,
) -> nn.AttentionPooling | nn.MeanPooling | nn.FirstPooling | nn.LastPooling:
    if config.pooling == "attention":
        return nn.AttentionPooling(config.d_model, config.d_model)
    if config.pooling == "mean":
        return nn.MeanPooling()
    return nn.FirstPooling() if config.pooling == "cls" else nn.LastPooling()


def _rows(flat: np.ndarray, offsets: np.ndarray, heads: int, row: int) -> np.ndarray:
    """Of the flat weights [heads, n, n] of each sequence, that row's mean over heads: [T]."""
    rows, begin = [], 0
    for n in np.diff(offsets):
        block = flat[begin : begin + heads * n * n].reshape(heads, n, n)
        rows.append(block[:, row].mean(axis=0) if n else np.zeros(0, np.float32))
        begin += block.size
    return np.concatenate([np.zeros(0, np.float32), *rows]).astype(np.float32)
