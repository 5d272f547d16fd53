"""The configuration of the Transformer that classifies texts."""

from __future__ import annotations

from typing import Literal

from attnkit.models.config import Positive
from attnkit.models.text_stack import TextStackConfig
from attnkit.text.documents import Layout
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

    pooling: Literal["attention", "mean", "cls"] = "attention"
    """How a document becomes one vector: "attention" learns which tokens count (Yang et al., 2016); "mean" counts all
    alike; "cls" takes the state of the start token (Devlin et al., 2019)."""

    d_model: Positive = 128
    """Width of the states."""

    ffn: Positive = 512
    """Width inside the feed-forward networks."""

    layers: Positive = 2
    """Encoder layers."""

    activation: Literal["relu", "gelu", "silu"] = "relu"
    """Inside the feed-forward networks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 2:
            raise ValueError("max_length: expected room for the start token and one more, got 1")

    @property
    def layout(self) -> Layout:
        """How a document is read."""
        return Layout(max_length=self.max_length, first=BOS)
