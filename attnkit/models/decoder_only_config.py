"""The configuration of the decoder-only Transformer."""

from __future__ import annotations

from typing import Literal

import msgspec

from attnkit.models.config import Positive, Rate


class DecoderOnlyConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="decoder-only"
):
    """A language model: Transformer layers with causal self-attention (Radford et al., 2018)."""

    d_model: Positive = 256
    """Width of the states."""

    ffn: Positive = 1024
    """Width inside the feed-forward networks."""

    heads: Positive = 4
    """Attention heads; d_model must be a multiple."""

    layers: Positive = 4
    """Layers."""

    dropout: Rate = 0.1
    """Of embeddings and of each sublayer's result; in training only."""

    attention_dropout: Rate | None = None
    """Of attention weights; as `dropout` where not given."""

    activation_dropout: Rate | None = None
    """Inside the feed-forward networks, behind the activation; as `dropout` where not given."""

    norm: Literal["post", "pre"] = "pre"
    """Layer norm before each sublayer, which trains more easily, or after it."""

    activation: Literal["relu", "gelu", "silu"] = "gelu"
    """Inside the feed-forward networks."""

    tie_embeddings: bool = True
    """Input and output share one matrix."""

    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    """Fixed sinusoids, or trained vectors for up to `max_length` positions."""

    max_length: Positive = 512
    """Longest text in tokens, the start token counted."""

    def __post_init__(self) -> None:
        if self.d_model % self.heads:
            raise ValueError(f"heads: expected a divisor of d_model = {self.d_model}, got {self.heads}")
