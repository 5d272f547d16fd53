"""The configuration of the Transformer that classifies texts."""

from __future__ import annotations

from typing import Literal

import msgspec

from attnkit.models.config import Positive, Rate
from attnkit.text.documents import Layout
from attnkit.text.vocabulary import BOS


class TransformerClassifierConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="transformer-classifier",
):
    """A Transformer encoder (Vaswani et al., 2017) whose states are pooled into one vector a document.

    It reads each document as one sequence, a start token before it.
    """

    pooling: Literal["attention", "mean", "cls"] = "attention"
    """How a document becomes one vector: "attention" learns which tokens count (Yang et al., 2016); "mean" counts all
    alike; "cls" takes the state of the start token (Devlin et al., 2019)."""

    d_model: Positive = 128
    """Width of the states."""

    ffn: Positive = 512
    """Width inside the feed-forward networks."""

    heads: Positive = 4
    """Attention heads; d_model must be a multiple."""

    layers: Positive = 2
    """Encoder layers."""

    dropout: Rate = 0.1
    """Of embeddings, of each sublayer's result and of the pooled vector; in training only."""

    attention_dropout: Rate | None = None
    """Of attention weights; as `dropout` where not given."""

    activation_dropout: Rate | None = None
    """Inside the feed-forward networks, behind the activation; as `dropout` where not given."""

    norm: Literal["post", "pre"] = "pre"
    """Layer norm before each sublayer, which trains more easily, or after it, as in the paper."""

    activation: Literal["relu", "gelu", "silu"] = "relu"
    """Inside the feed-forward networks."""

    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    """Fixed sinusoids, or trained vectors for up to `max_length` positions."""

    max_length: Positive = 512
    """Longest document in tokens, the start token counted; what is longer is cut at its end, and counted in the log."""

    def __post_init__(self) -> None:
        if self.d_model % self.heads:
            raise ValueError(f"heads: expected a divisor of d_model = {self.d_model}, got {self.heads}")
        if self.max_length < 2:
            raise ValueError("max_length: expected room for the start token and one more, got 1")

    @property
    def layout(self) -> Layout:
        """How a document is read."""
        return Layout(max_length=self.max_length, first=BOS)
