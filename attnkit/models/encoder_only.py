"""The encoder-only Transformer, a masked language model."""

from __future__ import annotations

from typing import Any

import numpy as np

from attnkit import nn, ops
from attnkit._core import Tensor
from attnkit.models.encoder_only_config import EncoderOnlyConfig
from attnkit.models.output import LossOutput, WritesText
from attnkit.models.text_stack import make_text_stack
from attnkit.nn import init
from attnkit.nn.normalisation import make_norm


class EncoderOnly(WritesText):
    """Guesses the hidden tokens of a text from those on both sides. Everything is packed: ids int32 [T], offsets int32
    [B + 1].

    Its `embedding` and `encoder` are those of a `TransformerClassifier`. Behind them, at the hidden places alone, stand
    a layer with a norm and the output layer (Devlin et al., 2019).
    """

    def __init__(self, config: EncoderOnlyConfig, vocab_size: int) -> None:
        super().__init__()
        self.config = config
        self.embedding, self.encoder = make_text_stack(config, vocab_size)
        width = config.embedding_width or config.d_model
        self.transform = nn.Linear(config.d_model, width, activation=config.transform)
        self.transform_norm = make_norm(config.norm_kind, width, config.norm_eps)
        self.generator = None if config.tie_embeddings else nn.Linear(width, vocab_size)
        self.tied_output_bias = init.constant((vocab_size,), 0.0) if config.tie_embeddings else None

    @property
    def tied_weight(self) -> Tensor:
        return self.embedding.weight

    @property
    def tied_bias(self) -> Tensor | None:
        return self.tied_output_bias

    def states(self, ids: np.ndarray, offsets: np.ndarray) -> Tensor:
        """Texts, each beginning with bos → [T, d_model]."""
        return self.encoder(self.embedding(ids, nn.packed_positions(offsets)), offsets)

    def guesses(self, batch: Any) -> Tensor:
        """What stands before the output layer at the M hidden places of a batch: [M, width], that of the embeddings."""
        hidden = ops.gather_rows(self.states(batch.ids, batch.offsets), batch.places)
        return self.transform_norm(self.transform(hidden))

    def forward(self, batch: Any) -> Tensor:
        """Logits [M, V] at the hidden places of a batch (see attnkit.text.MaskedBatch)."""
        return self.logits(self.guesses(batch))

    def loss(self, batch: Any, label_smoothing: float = 0.0) -> LossOutput:
        """The mean cross-entropy of what was hidden; other places cost nothing."""
        return self.word_loss(self.guesses(batch), batch.labels, label_smoothing)
