"""The configuration of the encoder-only Transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from attnkit.models.text_stack import TextStackConfig, check_room


class EncoderOnlyConfig(
    TextStackConfig, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="encoder-only"
):
    """A masked language model (BERT: Devlin et al., 2019): a Transformer encoder that reads a text with some tokens
    hidden, a start token before it, and guesses them."""

    LATER: ClassVar = TextStackConfig.LATER | {"transform"}

    tie_embeddings: Annotated[bool, Meta(description="Input and output share one matrix.")] = True

    transform: Annotated[
        Literal["relu", "gelu", "gelu_tanh", "quick_gelu", "silu"],
        Meta(description="Of the layer between a hidden token's state and the output layer."),
    ] = "gelu"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_room(self)
