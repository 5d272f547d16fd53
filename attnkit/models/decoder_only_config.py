"""The configuration of the decoder-only Transformer."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from attnkit.models.text_stack import TextStackConfig


class DecoderOnlyConfig(
    TextStackConfig, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="decoder-only"
):
    """A language model: Transformer layers with causal self-attention (Radford et al., 2018)."""

    tie_embeddings: Annotated[bool, Meta(description="Input and output share one matrix.")] = True
