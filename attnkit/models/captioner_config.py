"""The configuration of image captioners: any vision encoder, any text decoder."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from attnkit.models.cnn_config import CNNConfig
from attnkit.models.config import (
    Activation,
    Gated,
    Layers,
    NormEps,
    NormKind,
    Positive,
    Rate,
    RewardBaseline,
    SoftBatches,
    SoftShare,
)
from attnkit.models.vit_config import ViTConfig

Weight = Annotated[float, Meta(ge=0.0)]


class LSTMDecoderConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="lstm"
):
    """An LSTM that writes captions: Show and Tell (Vinyals et al., 2015), or Show, Attend and Tell (Xu et al.,
    2015)."""

    LATER: ClassVar = frozenset({"baseline", "soft_batches", "soft_share"})

    attention: Annotated[
        Literal["none", "soft", "hard"],
        Meta(
            description='"none": the LSTM sees the mean of the regions once, before the first word; "soft": before '
            'each word it sees their weighted mean; "hard": one region, sampled in training, which '
            "REINFORCE teaches to choose."
        ),
    ] = "soft"

    width: Annotated[Positive, Meta(description="Of the word vectors, and of what the words are read from.")] = 256

    hidden: Annotated[Positive, Meta(description="Of the LSTM's state.")] = 512

    dropout: Annotated[
        Rate, Meta(description="Of word vectors and of what the words are read from; in training only.")
    ] = 0.3

    word_dropout: Annotated[
        Rate,
        Meta(
            description="The share of the words before that the decoder does not get to see in training (Bowman et "
            "al., 2016), so that it learns to look at the image rather than to guess."
        ),
    ] = 0.0

    coverage_penalty: Annotated[
        Weight,
        Meta(
            description="Soft attention: how much every region is to be looked at, over all words about once (λ in "
            "equation 14 of Xu et al.; they use 1.0). It spreads attention out."
        ),
    ] = 0.0

    entropy_bonus: Annotated[
        Weight,
        Meta(description="Hard attention: how much an undecided choice is rewarded, which keeps choices open (λ_e)."),
    ] = 0.01

    baseline: RewardBaseline = "soft"

    soft_batches: SoftBatches = 300

    soft_share: SoftShare = 0.0

    max_length: Annotated[
        Positive, Meta(description="Longest caption that is written, in tokens, start token included.")
    ] = 64


class TransformerDecoderConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="transformer"
):
    """A Transformer decoder that writes captions (Vaswani et al., 2017), with the norm first."""

    LATER: ClassVar = frozenset({"activation", "gated", "norm_eps", "norm_kind"})

    layers: Annotated[Layers, Meta(description="Layers.")] = 2

    width: Annotated[Positive, Meta(description="Of the states.")] = 256

    heads: Annotated[Positive, Meta(description="Attention heads; width must be a multiple.")] = 4

    ffn: Annotated[Positive, Meta(description="Width inside the feed-forward networks.")] = 1024

    norm_kind: NormKind = "layer"

    norm_eps: NormEps = 1e-5

    activation: Activation = "gelu"

    gated: Gated = False

    dropout: Annotated[Rate, Meta(description="Of word vectors and of each sublayer's result; in training only.")] = 0.1

    attention_dropout: Annotated[Rate, Meta(description="Of attention weights.")] = 0.0

    word_dropout: Annotated[
        Rate,
        Meta(
            description="The share of the words before that the decoder does not get to see in training (Bowman et "
            "al., 2016), so that it learns to look at the image rather than to guess."
        ),
    ] = 0.0

    max_length: Annotated[
        Positive, Meta(description="Longest caption that is written, in tokens, start token included.")
    ] = 64

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads: expected a divisor of width = {self.width}, got {self.heads}")


class CaptionerConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="captioner"
):
    """A vision encoder and a text decoder. Its own `type` is "captioner"; the parts have types of their own."""

    encoder: Annotated[CNNConfig | ViTConfig, Meta(description="What looks at the image.")]

    decoder: Annotated[LSTMDecoderConfig | TransformerDecoderConfig, Meta(description="What writes.")]
