"""The configuration of the encoder-only Transformer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from attnkit.models.text_stack import TextStackConfig
from attnkit.text.layout import Layout
from attnkit.text.tokenizers.vocabulary import BOS


class EncoderOnlyConfig(
    TextStackConfig, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="encoder-only"
):
    """A masked language model (BERT: Devlin et al., 2019): a Transformer encoder that reads a text with some tokens
    hidden, a start token before it, and guesses them."""

    tie_embeddings: Annotated[bool, Meta(description="Input and output share one matrix.")] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_length < 2:
            raise ValueError("max_length: expected room for the start token and one more, got 1")

    @property
    def layout(self) -> Layout:
        """How a text is read."""
        return Layout(max_length=self.max_length, first=BOS)
