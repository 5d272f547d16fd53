"""The configuration of the Transformer that classifies texts."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from attnkit.models.config import (
    Activation,
    Layers,
    Positive,
)
from attnkit.models.text_stack import TextStackConfig
from attnkit.text.layout import Layout
from attnkit.text.tokenizers.vocabulary import BOS


class TransformerClassifierConfig(
    TextStackConfig,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="transformer-classifier",
):
    """A Transformer encoder (Vaswani et al., 2017) whose states are pooled into one vector a document.

    It reads each document as one sequence, a start token before it.
    """

    pooling: Annotated[
        Literal["attention", "mean", "cls"],
        Meta(
            description='How a document becomes one vector: "attention" learns which tokens count (Yang et al., '
            '2016); "mean" counts all alike; "cls" takes the state of the start token (Devlin et al., '
            "2019)."
        ),
    ] = "attention"

    d_model: Annotated[Positive, Meta(description="Width of the states.")] = 128

    ffn: Annotated[Positive, Meta(description="Width inside the feed-forward networks.")] = 512

    layers: Annotated[Layers, Meta(description="Encoder layers.")] = 2

    activation: Activation = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 2:
            raise ValueError("max_length: expected room for the start token and one more, got 1")

    @property
    def layout(self) -> Layout:
        """How a document is read."""
        return Layout(max_length=self.max_length, first=BOS)
