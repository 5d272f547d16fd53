"""One stack of Transformer layers over the tokens of a text: what language models and classifiers of texts share."""

from __future__ import annotations

from typing import Literal

import msgspec

from attnkit import nn
from attnkit.models.config import Positive, Rate


class TextStackConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Embeddings, positions and layers."""

    d_model: Positive = 256
    """Width of the states."""

    ffn: Positive = 1024
    """Width inside the feed-forward networks."""

    heads: Positive = 4
    """Attention heads; d_model must be a multiple."""

    layers: Positive = 4
    """Layers."""

    dropout: Rate = 0.1
    """Of embeddings and of each sublayer's result (a classifier: and of the pooled vector); in training only."""

    attention_dropout: Rate | None = None
    """Of attention weights; as `dropout` where not given."""

    activation_dropout: Rate | None = None
    """Inside the feed-forward networks, behind the activation; as `dropout` where not given."""

    norm: Literal["post", "pre"] = "pre"
    """Layer norm before each sublayer, which trains more easily, or after it, as in the first paper."""

    activation: Literal["relu", "gelu", "silu"] = "gelu"
    """Inside the feed-forward networks."""

    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    """Fixed sinusoids, or trained vectors for up to `max_length` positions."""

    max_length: Positive = 512
    """Longest text in tokens, the start token counted. A classifier cuts what is longer, and says how many were."""

    def __post_init__(self) -> None:
        if self.d_model % self.heads:
            raise ValueError(f"heads: expected a divisor of d_model = {self.d_model}, got {self.heads}")


def make_text_stack(config: TextStackConfig, vocab_size: int) -> tuple[nn.Embedding, nn.TransformerEncoder]:
    """The embedding and the layers, their weights drawn in this order."""
    c = config
    positions: nn.SinusoidalPositions | nn.LearnedPositions
    if c.positions == "sinusoidal":
        positions = nn.SinusoidalPositions(c.d_model)
    else:
        positions = nn.LearnedPositions(c.d_model, c.max_length)
    embedding = nn.Embedding(vocab_size, c.d_model, c.d_model**0.5, positions, c.dropout)
    layers = nn.TransformerEncoder(
        c.layers,
        c.d_model,
        c.heads,
        c.ffn,
        dropout=c.dropout,
        norm=c.norm,
        activation=c.activation,
        attention_dropout=c.attention_dropout,
        activation_dropout=c.activation_dropout,
    )
    return embedding, layers
