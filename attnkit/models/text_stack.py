"""One stack of Transformer layers over the tokens of a text: what language models and classifiers of texts share."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit import nn
from attnkit.models.config import Layers, Positive, Rate


class TextStackConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Embeddings, positions and layers."""

    d_model: Annotated[Positive, Meta(description="Width of the states.")] = 256

    ffn: Annotated[Positive, Meta(description="Width inside the feed-forward networks.")] = 1024

    heads: Annotated[Positive, Meta(description="Attention heads; d_model must be a multiple.")] = 4

    layers: Annotated[Layers, Meta(description="Layers.")] = 4

    dropout: Annotated[
        Rate,
        Meta(
            description="Of embeddings and of each sublayer's result (a classifier: and of the pooled vector); in "
            "training only."
        ),
    ] = 0.1

    attention_dropout: Annotated[
        Rate | None, Meta(description="Of attention weights; as `dropout` where not given.")
    ] = None

    activation_dropout: Annotated[
        Rate | None,
        Meta(description="Inside the feed-forward networks, behind the activation; as `dropout` where not given."),
    ] = None

    norm: Annotated[
        Literal["post", "pre"],
        Meta(
            description="Layer norm before each sublayer, which trains more easily, or after it, as in the first paper."
        ),
    ] = "pre"

    activation: Annotated[Literal["relu", "gelu", "silu"], Meta(description="Inside the feed-forward networks.")] = (
        "gelu"
    )

    positions: Annotated[
        Literal["sinusoidal", "learned"],
        Meta(description="Fixed sinusoids, or trained vectors for up to `max_length` positions."),
    ] = "sinusoidal"

    max_length: Annotated[
        Positive,
        Meta(
            description="Longest text in tokens, the start token counted. A classifier cuts what is longer, and says "
            "how many were."
        ),
    ] = 512

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
