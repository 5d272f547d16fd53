"""The configuration of the convolutional network."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.models.config import Layers, Positive, Rate


class CNNConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="cnn"):
    """A residual network (He et al., 2016) with squeeze-and-excitation and attention to its own feature maps."""

    widths: Annotated[
        tuple[Positive, ...],
        Meta(min_length=1, description="Channels of each stage; every stage but the first halves rows and columns."),
    ] = (32, 64, 128)

    blocks: Annotated[Layers, Meta(description="Residual blocks in each stage, of two convolutions each.")] = 2

    channels: Annotated[Positive, Meta(description="Colours of a pixel: 3 for RGB, 1 for grey.")] = 3

    stem: Annotated[
        Literal["small", "patch", "large"],
        Meta(
            description="First layer: 3 x 3 for small images; or one that leaves a quarter of rows and columns: "
            "patches of 4 x 4 (Liu et al., 2022), which cost little and say best where something is, or "
            "for photos 7 x 7 of stride 2 and a pooling."
        ),
    ] = "small"

    squeeze_excitation: Annotated[
        bool, Meta(description="Gates on the channels of each block, decided by the whole image (Hu et al., 2018).")
    ] = False

    attention: Annotated[
        Literal["none", "dot", "parametrised"],
        Meta(
            description="Classify by attention to the feature maps of the last two stages (Jetley et al., 2018), "
            'whose maps explain the answer; "none": by their mean alone.'
        ),
    ] = "none"

    dropout: Annotated[Rate, Meta(description="Of the features that are classified; in training only.")] = 0.0

    stochastic_depth: Annotated[
        Rate,
        Meta(
            description="Probability that an image goes without the last block; earlier blocks have less, the first "
            "none."
        ),
    ] = 0.0
