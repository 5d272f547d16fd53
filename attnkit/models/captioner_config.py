"""The configuration of image captioners: any vision encoder, any text decoder."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from attnkit.models.cnn_config import CNNConfig
from attnkit.models.config import (
    Activation,
    EmbeddingNorm,
    Gated,
    Layers,
    NormEps,
    NormKind,
    NotNegative,
    PositionOffset,
    PositionSpacing,
    Positive,
    Rate,
    RewardBaseline,
    ScaleEmbeddings,
    SoftBatches,
    SoftShare,
)
from attnkit.models.vit_config import ViTConfig
from attnkit.text.tokenizers.vocabulary import BOS, EOS

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
    """A Transformer decoder that writes captions (Vaswani et al., 2017)."""

    LATER: ClassVar = frozenset(
        {
            "activation",
            "activation_dropout",
            "embedding_norm",
            "gated",
            "norm",
            "norm_eps",
            "norm_kind",
            "output_bias",
            "position_offset",
            "position_spacing",
            "positions",
            "scale_embeddings",
            "tie_embeddings",
            "transform",
        }
    )

    layers: Annotated[Layers, Meta(description="Layers.")] = 2

    width: Annotated[Positive, Meta(description="Of the states.")] = 256

    heads: Annotated[Positive, Meta(description="Attention heads; width must be a multiple.")] = 4

    ffn: Annotated[Positive, Meta(description="Width inside the feed-forward networks.")] = 1024

    norm: Annotated[
        Literal["post", "pre"],
        Meta(
            description="Layer norm before each sublayer, which trains more easily, or after it, as in the first paper."
        ),
    ] = "pre"

    norm_kind: NormKind = "layer"

    norm_eps: NormEps = 1e-5

    activation: Activation = "gelu"

    gated: Gated = False

    dropout: Annotated[Rate, Meta(description="Of word vectors and of each sublayer's result; in training only.")] = 0.1

    attention_dropout: Annotated[Rate, Meta(description="Of attention weights.")] = 0.0

    activation_dropout: Annotated[
        Rate | None,
        Meta(description="Inside the feed-forward networks, behind the activation; as `dropout` where not given."),
    ] = None

    scale_embeddings: ScaleEmbeddings = True

    embedding_norm: EmbeddingNorm = False

    positions: Annotated[
        Literal["learned", "sinusoidal", "sinusoidal-halves"],
        Meta(
            description="Trained vectors for up to `max_length` positions, or fixed sinusoids, sine and cosine in turn "
            "or all sines first."
        ),
    ] = "learned"

    position_spacing: PositionSpacing = "paper"

    position_offset: PositionOffset = 0

    tie_embeddings: Annotated[
        bool, Meta(description="The output layer's matrix is that of the word vectors (Press and Wolf, 2017).")
    ] = False

    output_bias: Annotated[bool, Meta(description="A trained bias of the logits.")] = True

    transform: Annotated[
        Activation | None,
        Meta(
            description="The activation of one more layer, with a norm, before the output layer, as in BERT (Devlin et "
            "al., 2019). null: there is none."
        ),
    ] = None

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

    LATER: ClassVar = frozenset({"bos_id", "eos_id", "memory"})

    encoder: Annotated[CNNConfig | ViTConfig, Meta(description="What looks at the image.")]

    decoder: Annotated[LSTMDecoderConfig | TransformerDecoderConfig, Meta(description="What writes.")]

    memory: Annotated[
        Literal["regions", "tokens", "projected-tokens"],
        Meta(
            description='What the decoder sees of the image. "regions": the features of each region, projected to its '
            'width and normalised, with the place in the image added. "tokens": all tokens of a Vision Transformer as '
            'they are, the class token too, as TrOCR and BLIP have it; "projected-tokens": these, projected to the '
            "decoder's width."
        ),
    ] = "regions"

    bos_id: Annotated[
        NotNegative, Meta(description="What the decoder reads first. A converted model keeps its own.")
    ] = BOS

    eos_id: Annotated[
        NotNegative, Meta(description="The token that ends a caption. A converted model keeps its own.")
    ] = EOS

    def __post_init__(self) -> None:
        if self.memory == "regions":
            return
        if not isinstance(self.encoder, ViTConfig) or not isinstance(self.decoder, TransformerDecoderConfig):
            raise ValueError(
                f'memory: expected "regions" unless the encoder is a "vit" and the decoder a "transformer", got '
                f'"{self.memory}"'
            )
