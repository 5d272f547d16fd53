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
        self.pooling: nn.AttentionPooling | nn.MeanPooling | nn.FirstPooling
        if config.pooling == "attention":
            self.pooling = nn.AttentionPooling(config.d_model, config.d_model)
        else:
            self.pooling = nn.MeanPooling() if config.pooling == "mean" else nn.FirstPooling()
        self.output = nn.Linear(config.d_model, classes)

    @overload
    def represent(self, batch: Any, return_weights: Literal[False] = False) -> Tensor: ...
    @overload
    def represent(self, batch: Any, return_weights: Literal[True]) -> tuple[Tensor, DocumentWeights]: ...
    def represent(self, batch: Any, return_weights: bool = False) -> Tensor | tuple[Tensor, DocumentWeights]:
        """→ [B, d_model]; with return_weights also `DocumentWeights`; the one sentence of a document has weight 1.

        The word weights are those of the pooling; with "cls" they are the attention of the start token in the last
        layer, averaged over heads.
        """
        offsets = index_array(batch.sentence_offsets[batch.document_offsets])
        x = self.embedding(batch.ids, nn.packed_positions(offsets))
        if not return_weights:
            return self._drop(self.pooling(self.encoder(x, offsets), offsets))
        states, attention = self.encoder(x, offsets, return_weights=True)
        vectors, pooling = self.pooling(states, offsets, return_weights=True)
        if self.config.pooling == "cls":
            words = _first_rows(attention[-1].numpy(), offsets, self.config.heads)
        else:
            words = pooling.numpy().copy()
        return self._drop(vectors), DocumentWeights(words, np.ones(len(batch.sentence_offsets) - 1, np.float32))

    def _drop(self, vectors: Tensor) -> Tensor:
        rate = self.config.dropout if self.training else 0.0
        return ops.dropout(vectors, rate) if rate else vectors


def _first_rows(flat: np.ndarray, offsets: np.ndarray, heads: int) -> np.ndarray:
    """Of the flat weights [heads, n, n] of each sequence, the first row's mean over heads: [T]."""
    rows, begin = [], 0
    for n in np.diff(offsets):
        block = flat[begin : begin + heads * n * n].reshape(heads, n, n)
        rows.append(block[:, :1].mean(axis=0).reshape(n))
        begin += block.size
    return np.concatenate([np.zeros(0, np.float32), *rows]).astype(np.float32)
