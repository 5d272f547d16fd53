"""The configuration of the decoder-only Transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from attnkit.models.config import NotNegative
from attnkit.models.text_stack import TextStackConfig
from attnkit.text.tokenizers.vocabulary import EOS


class DecoderOnlyConfig(
    TextStackConfig, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="decoder-only"
):
    """A language model: Transformer layers with causal self-attention (Radford et al., 2018)."""

    LATER: ClassVar = TextStackConfig.LATER

    eos_id: Annotated[NotNegative, Meta(description="The token that ends a text. A converted model keeps its own.")] = (
        EOS
    )

    tie_embeddings: Annotated[bool, Meta(description="Input and output share one matrix.")] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.embedding_width is not None and self.tie_embeddings:
            raise ValueError(
                "tie_embeddings: expected false with embedding_width, since their matrix has another width, got true"
            )
