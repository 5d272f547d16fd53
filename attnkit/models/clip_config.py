"""The configuration of CLIP."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.vit_config import ViTConfig


class CLIPConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="clip"):
    """Two encoders that make vectors of texts and of images, to be compared by their cosine (CLIP: Radford et al.,
    2021)."""

    text: Annotated[
        SentenceEncoderConfig,
        Meta(description="The encoder of texts. The width of its last projection is that of the vectors."),
    ]

    image: Annotated[ViTConfig, Meta(description="The encoder of images; its head gives their vectors.")]

    def __post_init__(self) -> None:
        if not self.text.projections:
            raise ValueError("text.projections: expected one, whose width is that of the vectors, got none")
        if self.image.distillation != "none":
            raise ValueError(f'image.distillation: expected "none", got "{self.image.distillation}"')

    @property
    def width(self) -> int:
        """Of the vectors."""
        return self.text.projections[-1].width

    @property
    def d_model(self) -> int:
        """The larger of the widths inside."""
        return max(self.text.d_model, self.image.sizes[0])
