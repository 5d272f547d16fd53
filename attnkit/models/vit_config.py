"""The configuration of the Vision Transformer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from attnkit.models.config import (
    Activation,
    Gated,
    Layers,
    NormEps,
    NormKind,
    NotNegative,
    Positive,
    Rate,
)

# d_model, layers, heads, ffn
_SIZES = {"Ti": (192, 12, 3, 768), "S": (384, 12, 6, 1536), "B": (768, 12, 12, 3072)}


class ViTConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="vit"):
    """A Vision Transformer (Dosovitskiy et al., 2021; the sizes Ti and S are those of Touvron et al., 2021)."""

    LATER: ClassVar = frozenset(
        {"activation", "distillation", "first_norm", "gated", "last_norm", "norm_eps", "norm_kind", "registers"}
    )

    size: Annotated[
        Literal["Ti", "S", "B"],
        Meta(
            description="The numbers below that are not given: width 192, 384 or 768, 12 layers, heads of 64, ffn "
            "four times the width."
        ),
    ] = "Ti"

    image_size: Annotated[
        Positive,
        Meta(description="Rows and columns of an image in training; others are taken, too, their positions resampled."),
    ] = 224

    patch_size: Annotated[
        Positive, Meta(description="Rows and columns of a patch; an image must be whole patches.")
    ] = 16

    stem: Annotated[
        Literal["patch", "convolution", "convolution-pooling"],
        Meta(
            description="What makes tokens of pixels: one matrix for each patch by itself; or convolutions of 3 x 3 "
            "that halve rows and columns until a patch is a token, which see across the edges of patches "
            "and learn from fewer images. They halve by a stride of 2 (Xiao et al., 2021) or by max "
            "pooling (Hassani et al., 2021). patch_size is then a power of two."
        ),
    ] = "patch"

    channels: Annotated[Positive, Meta(description="Colours of a pixel: 3 for RGB, 1 for grey.")] = 3

    d_model: Annotated[Positive | None, Meta(description="Width of the states; as `size` says where not given.")] = None

    layers: Annotated[Layers | None, Meta(description="Encoder layers; as `size` says where not given.")] = None

    heads: Annotated[
        Positive | None,
        Meta(description="Attention heads, of which d_model is a multiple; as `size` says where not given."),
    ] = None

    ffn: Annotated[
        Positive | None, Meta(description="Width inside the feed-forward networks; as `size` says where not given.")
    ] = None

    pooling: Annotated[
        Literal["token", "mean", "mean-beside-token", "probe"],
        Meta(
            description="What is classified: a class token in front of the patches, the mean of all patches, or that "
            "mean though there is a class token, which takes part in the attention alone; or what a trained query "
            "sees in all patches, with a feed-forward network behind (probe; Zhai et al., 2022)."
        ),
    ] = "token"

    distillation: Annotated[
        Literal["none", "token", "head"],
        Meta(
            description="A second token, behind the class token, that has learnt from a teacher (Touvron et al., "
            '2021): "head" classifies it, too, and the mean of both logits counts; with "token" it takes part in the '
            "attention alone."
        ),
    ] = "none"

    registers: Annotated[
        NotNegative,
        Meta(
            description="Trained tokens between those and the patches, which take part in the attention alone, so that "
            "no patch has to keep what is of the whole image (Darcet et al., 2024)."
        ),
    ] = 0

    first_norm: Annotated[
        bool, Meta(description="A norm in front of the first layer, too, as in CLIP (Radford et al., 2021).")
    ] = False

    last_norm: Annotated[
        Literal["states", "pooled"],
        Meta(description='What is normalised behind the last layer: all states, or with "mean" their mean.'),
    ] = "states"

    norm_kind: NormKind = "layer"

    norm_eps: NormEps = 1e-5

    activation: Activation = "gelu"

    gated: Gated = False

    dropout: Annotated[Rate, Meta(description="Of embeddings and of each sublayer's result; in training only.")] = 0.0

    attention_dropout: Annotated[
        Rate | None, Meta(description="Of attention weights; as `dropout` where not given.")
    ] = None

    stochastic_depth: Annotated[
        Rate,
        Meta(
            description="Probability that an image goes without a sublayer of the last layer; earlier layers have "
            "less, the first none."
        ),
    ] = 0.0

    interpolation: Annotated[
        Literal["bicubic", "bilinear"], Meta(description="How positions are resampled for other images.")
    ] = "bicubic"

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size: expected a divisor of image_size = {self.image_size}, got {self.patch_size}")
        if self.stem != "patch" and (self.patch_size < 2 or self.patch_size.bit_count() != 1):
            raise ValueError(f'patch_size: expected a power of two with stem = "{self.stem}", got {self.patch_size}')
        if self.distillation != "none" and self.pooling != "token":
            raise ValueError(
                f'distillation: expected "none" with pooling = "{self.pooling}", got "{self.distillation}"'
            )
        if self.last_norm == "pooled" and self.pooling in ("token", "probe"):
            raise ValueError(f'last_norm: expected "states" with pooling = "{self.pooling}", got "pooled"')
        d_model, _, heads, _ = self.sizes
        if d_model % heads:
            raise ValueError(f"heads: expected a divisor of d_model = {d_model}, got {heads}")

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """d_model, layers, heads, ffn."""
        given = (self.d_model, self.layers, self.heads, self.ffn)
        d_model, layers, heads, ffn = (a or b for a, b in zip(given, _SIZES[self.size], strict=True))
        return d_model, layers, heads, ffn
