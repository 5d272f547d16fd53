"""One stack of Transformer layers over the tokens of a text: what language models and classifiers of texts share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from attnkit import nn
from attnkit._core import Tensor
from attnkit.models.config import (
    Activation,
    BosId,
    EmbeddingNorm,
    EosId,
    Gated,
    Layers,
    NormEps,
    NormKind,
    NotNegative,
    PositionOffset,
    PositionSpacing,
    Positive,
    Rate,
    RelativeBuckets,
    RelativeDistance,
    ScaleEmbeddings,
    check_relative,
)
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.normalisation import make_norm
from attnkit.text.layout import Layout
from attnkit.text.tokenizers.vocabulary import BOS


class TextStackConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Embeddings, positions and layers."""

    LATER: ClassVar = frozenset(
        {
            "bos_id",
            "embedding_norm",
            "embedding_width",
            "eos_id",
            "gated",
            "head_dim",
            "norm_eps",
            "norm_kind",
            "position_offset",
            "position_spacing",
            "relative_buckets",
            "relative_distance",
            "scale_embeddings",
            "token_types",
        }
    )

    d_model: Annotated[Positive, Meta(description="Width of the states.")] = 256

    ffn: Annotated[Positive, Meta(description="Width inside the feed-forward networks.")] = 1024

    heads: Annotated[
        Positive, Meta(description="Attention heads; d_model must be a multiple unless head_dim is given.")
    ] = 4

    head_dim: Annotated[Positive | None, Meta(description="Width of a head; d_model / heads where not given.")] = None

    layers: Annotated[Layers, Meta(description="Layers.")] = 4

    dropout: Annotated[
        Rate,
        Meta(
            description="Of embeddings and of each sublayer's result (a classifier: and of the pooled vector); in "
            "training only."
        ),
    ] = 0.1

    attention_dropout: Annotated[
        Rate | None, Meta(description="Of attention weights; as `dropout` where not given.")
    ] = None

    activation_dropout: Annotated[
        Rate | None,
        Meta(description="Inside the feed-forward networks, behind the activation; as `dropout` where not given."),
    ] = None

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

    scale_embeddings: ScaleEmbeddings = True

    embedding_norm: EmbeddingNorm = False

    embedding_width: Annotated[
        Positive | None,
        Meta(
            description="Width of the embeddings, which a layer then makes d_model wide, as in ELECTRA (Clark et al., "
            "2020); where not given they are as wide themselves."
        ),
    ] = None

    token_types: Annotated[
        NotNegative,
        Meta(
            description="Vectors of segments, of which each token gets one added, as in BERT; all tokens of a text get "
            "the first."
        ),
    ] = 0

    positions: Annotated[
        Literal["sinusoidal", "sinusoidal-halves", "learned", "none"],
        Meta(
            description="Fixed sinusoids, sine and cosine in turn or all sines first, or trained vectors for up to "
            '`max_length` positions. "none" leaves it to relative positions, if there are any.'
        ),
    ] = "sinusoidal"

    position_spacing: PositionSpacing = "paper"

    position_offset: PositionOffset = 0

    relative_buckets: RelativeBuckets = 0

    relative_distance: RelativeDistance = 128

    max_length: Annotated[
        Positive,
        Meta(
            description="Longest text in tokens, the start token counted. A classifier cuts what is longer, and says "
            "how many were."
        ),
    ] = 512

    bos_id: BosId = BOS

    eos_id: EosId = None

    def __post_init__(self) -> None:
        if self.head_dim is None and self.d_model % self.heads:
            raise ValueError(f"heads: expected a divisor of d_model = {self.d_model}, got {self.heads}")
        check_relative(self.relative_buckets, self.relative_distance)

    @property
    def layout(self) -> Layout:
        """How a text is read as a whole."""
        return Layout(max_length=self.max_length, first=self.bos_id, last=self.eos_id)


def check_room(config: TextStackConfig) -> None:
    """Raises ValueError where there is no room for a token between those that every text has."""
    around = (config.bos_id is not None) + (config.eos_id is not None)
    if config.max_length <= around:
        what = "the start token and one more" if around == 1 else f"{around} special tokens and one more"
        raise ValueError(f"max_length: expected room for {what}, got {config.max_length}")


def make_embedding(
    config: TransformerConfig | TextStackConfig, vocabulary: int, weight: Tensor | None = None
) -> nn.Embedding:
    """The embedding of a vocabulary with its positions and what stands behind them."""
    c = config
    own = c.embedding_width if isinstance(c, TextStackConfig) else None
    width = own or c.d_model
    positions: nn.SinusoidalPositions | nn.LearnedPositions | None
    if c.positions == "none":
        positions = None
    elif c.positions == "learned":
        positions = nn.LearnedPositions(width, c.max_length, c.position_offset)
    else:
        positions = nn.SinusoidalPositions(
            width, halves=c.positions == "sinusoidal-halves", spacing=c.position_spacing, offset=c.position_offset
        )
    return nn.Embedding(
        vocabulary,
        width,
        width**0.5 if c.scale_embeddings else 1.0,
        positions,
        c.dropout,
        weight,
        c.token_types if isinstance(c, TextStackConfig) else 0,
        make_norm(c.norm_kind, width, c.norm_eps) if c.embedding_norm else None,
        None if own is None else c.d_model,
    )


def layer_options(config: TransformerConfig | TextStackConfig) -> dict[str, Any]:
    """What the configuration says of every layer, as `nn.TransformerEncoder` and `nn.TransformerDecoder` take it."""
    c = config
    return dict(
        head_dim=c.head_dim,
        dropout=c.dropout,
        norm=c.norm,
        activation=c.activation,
        attention_dropout=c.attention_dropout,
        activation_dropout=c.activation_dropout,
        norm_kind=c.norm_kind,
        norm_eps=c.norm_eps,
        gated=c.gated,
    )


def make_text_stack(config: TextStackConfig, vocab_size: int) -> tuple[nn.Embedding, nn.TransformerEncoder]:
    """The embedding and the layers, their weights drawn in this order."""
    c = config
    embedding = make_embedding(c, vocab_size)
    bias = nn.RelativePositionBias(c.heads, c.relative_buckets, c.relative_distance) if c.relative_buckets else None
    return embedding, nn.TransformerEncoder(c.layers, c.d_model, c.heads, c.ffn, position_bias=bias, **layer_options(c))
