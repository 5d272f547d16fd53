"""The configuration of the model that looks at an image by glimpses."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.models.config import Positive

_WIDEST = 512  # pixels along a side of a crop: a batch of them is cut out at once


class GlimpseConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="glimpse"
):
    """Recurrent attention to crops of an image (Mnih et al., 2014), trained by REINFORCE where to look."""

    glimpses: Annotated[
        int, Meta(ge=1, le=64, description="How often it looks. The first glimpse is at the middle of the image.")
    ] = 4

    size: Annotated[
        int, Meta(ge=1, le=256, description="Pixels along a side of a crop, and of the first crop in the image.")
    ] = 12

    scales: Annotated[
        int,
        Meta(
            ge=1,
            le=6,
            description="Crops of a glimpse around one place, each twice as wide as the one before and as coarse.",
        ),
    ] = 3

    channels: Annotated[Positive, Meta(description="Colours of a pixel: 3 for RGB, 1 for grey.")] = 3

    width: Annotated[Positive, Meta(description="Of what is known of a glimpse: what is there, and where.")] = 128

    hidden: Annotated[Positive, Meta(description="Width of the recurrent state (GRU) that gathers the glimpses.")] = 128

    deviation: Annotated[
        float,
        Meta(
            gt=0.0,
            le=1.0,
            description="How far, in halves of the image, training looks beside the place that it deems best: the "
            "standard deviation of a Gaussian. Evaluation looks at the place itself.",
        ),
    ] = 0.15

    places: Annotated[
        Literal["learned", "random"],
        Meta(
            description='Where it looks behind the first glimpse. "random": anywhere, in evaluation at places that are '
            "the same for all images; to compare with."
        ),
    ] = "learned"

    def __post_init__(self) -> None:
        if self.size << (self.scales - 1) > _WIDEST:
            widest = self.size << (self.scales - 1)
            raise ValueError(f"scales: expected crops of at most {_WIDEST} pixels a side, got {widest}")
