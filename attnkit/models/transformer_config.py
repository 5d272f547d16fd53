"""The configuration of the Transformer encoder-decoder."""

# Annotations are no text here: msgspec would compile each of them when a model is loaded.

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

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
    RelativeBuckets,
    RelativeDistance,
    ScaleEmbeddings,
    check_relative,
)
from attnkit.text.tokenizers.vocabulary import BOS, EOS


class TransformerConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="transformer"
):
    """A Transformer encoder-decoder (Vaswani et al., 2017)."""

    LATER: ClassVar = frozenset(
        {
            "alignment_head",
            "alignment_layer",
            "decoder",
            "embedding_norm",
            "gated",
            "head_dim",
            "norm_eps",
            "norm_kind",
            "position_offset",
            "position_spacing",
            "relative_buckets",
            "relative_distance",
        }
    )

    d_model: Annotated[Positive, Meta(description="Width of the states.")] = 512

    ffn: Annotated[Positive, Meta(description="Width inside the feed-forward networks.")] = 2048

    heads: Annotated[Positive, Meta(description="Attention heads; d_model must be a multiple.")] = 8

    head_dim: Annotated[Positive | None, Meta(description="Width of a head; d_model / heads where not given.")] = None

    decoder_ffn: Annotated[Positive | None, Meta(description="Of the decoder; as `ffn` where not given.")] = None

    decoder_heads: Annotated[Positive | None, Meta(description="Of the decoder; as `heads` where not given.")] = None

    encoder_layers: Annotated[Layers, Meta(description="Layers that read the source.")] = 6

    decoder_layers: Annotated[Layers, Meta(description="Layers that write the target.")] = 6

    dropout: Annotated[Rate, Meta(description="Of embeddings and of each sublayer's result; in training only.")] = 0.1

    attention_dropout: Annotated[
        Rate | None, Meta(description="Of attention weights; as `dropout` where not given.")
    ] = None

    activation_dropout: Annotated[
        Rate | None,
        Meta(description="Inside the feed-forward networks, behind the activation; as `dropout` where not given."),
    ] = None

    decoder: Annotated[
        Literal["attention", "ssru"],
        Meta(
            description='What a decoder layer reads its own words by: self-attention, or an "ssru" (Kim et al., 2019), '
            "a recurrent unit whose step costs the same at every position: for small, fast students."
        ),
    ] = "attention"

    norm: Annotated[
        Literal["post", "pre"],
        Meta(
            description="Layer norm after each sublayer, as in the paper, or before it, which trains deep stacks more "
            "easily."
        ),
    ] = "post"

    norm_kind: NormKind = "layer"

    norm_eps: NormEps = 1e-5

    activation: Activation = "relu"

    gated: Gated = False

    tie_embeddings: Annotated[
        Literal["all", "decoder", "inputs", "none"],
        Meta(
            description='"all": source, target and output share one matrix (needs a joint vocabulary); "decoder": '
            'target and output do; "inputs": source and target do.'
        ),
    ] = "all"

    output_bias: Annotated[
        bool,
        Meta(
            description="A trained bias of the logits, where the output shares its matrix; without sharing there "
            "always is one."
        ),
    ] = False

    scale_embeddings: ScaleEmbeddings = True

    embedding_norm: EmbeddingNorm = False

    positions: Annotated[
        Literal["sinusoidal", "sinusoidal-halves", "learned", "none"],
        Meta(
            description="Fixed sinusoids, sine and cosine in turn, as in the paper, or all sines first, as Marian has "
            'them; or trained vectors for up to `max_length` positions. "none" is there to see what '
            "becomes of it: the encoder then reads a bag of words."
        ),
    ] = "sinusoidal"

    position_spacing: PositionSpacing = "paper"

    position_offset: PositionOffset = 0

    relative_buckets: RelativeBuckets = 0

    relative_distance: RelativeDistance = 128

    alignment_head: Annotated[
        NotNegative | None,
        Meta(
            description="The head of the decoder whose attention to the source is the model's alignment, counted from "
            "0: it is drawn, written by `--alignments`, and trained by `training.guided_alignment`. Not given: the "
            "mean over the heads."
        ),
    ] = None

    alignment_layer: Annotated[
        NotNegative | None,
        Meta(description="The layer of that head, counted from 0; the last one where not given."),
    ] = None

    max_length: Annotated[Positive, Meta(description="Longest source and target, in tokens.")] = 1024

    bos_id: Annotated[
        NotNegative, Meta(description="What the decoder reads first. A converted model keeps its own.")
    ] = BOS

    eos_id: Annotated[
        NotNegative, Meta(description="The token that ends a target. A converted model keeps its own.")
    ] = EOS

    def __post_init__(self) -> None:
        for name, heads in (("heads", self.heads), ("decoder_heads", self.decoder_heads)):
            if heads is not None and self.head_dim is None and self.d_model % heads:
                raise ValueError(f"{name}: expected a divisor of d_model = {self.d_model}, got {heads}")
        check_relative(self.relative_buckets, self.relative_distance, one_sided=True)
        if self.relative_buckets and self.decoder == "ssru":
            raise ValueError('relative_buckets: expected 0 with decoder = "ssru", which attends to nothing')
        counts = {"alignment_head": self.decoder_heads or self.heads, "alignment_layer": self.decoder_layers}
        for name, count in counts.items():
            if (found := getattr(self, name)) is not None and found >= count:
                raise ValueError(f"{name}: expected a number from 0 to {count - 1}, got {found}")
