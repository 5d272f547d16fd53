"""The configuration of CLIP."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.models.vit_config import ViTConfig


class CLIPConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="clip"):
    """Two encoders that make vectors of texts and of images, to be compared by their cosine (CLIP: Radford et al.,
    2021)."""

    LATER: ClassVar = frozenset({"image_head", "probability"})

    text: Annotated[
        SentenceEncoderConfig,
        Meta(description="The encoder of texts. The width of its last projection is that of the vectors."),
    ]

    image: Annotated[ViTConfig, Meta(description="The encoder of images; its head gives their vectors.")]

    image_head: Annotated[
        bool,
        Meta(
            description="A matrix makes the vectors of what the encoder of images gives; false where these are the "
            "vectors, as in SigLIP (Zhai et al., 2023)."
        ),
    ] = True

    probability: Annotated[
        Literal["softmax", "sigmoid"],
        Meta(
            description="Of a label for an image: among all labels, or, as in SigLIP, by itself, with a trained number "
            "that is added to scaled cosines."
        ),
    ] = "softmax"

    def __post_init__(self) -> None:
        if not self.text.projections:
            raise ValueError("text.projections: expected one, whose width is that of the vectors, got none")
        if self.image.distillation != "none":
            raise ValueError(f'image.distillation: expected "none", got "{self.image.distillation}"')

        if not self.image_head and self.image.sizes[0] != self.width:
            raise ValueError(
                f"image.d_model: expected {self.width}, the width of the vectors, with image_head = false, got "
                f"{self.image.sizes[0]}"
            )

    @property
    def width(self) -> int:
        """Of the vectors."""
        return self.text.projections[-1].width

    @property
    def d_model(self) -> int:
        """The larger of the widths inside."""
        return max(self.text.d_model, self.image.sizes[0])
