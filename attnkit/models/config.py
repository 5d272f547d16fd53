"""What the configurations of models share. Each model's own lies beside it, in `<model>_config.py`: it is kept with the
weights in config.json, and written as [model] in a training TOML."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
# A width too large has no memory and says so; layers are small, and building 2^63 of them would never end.
Layers = Annotated[int, Meta(ge=1, le=1000)]
ClassName = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$")]
NotNegative = Annotated[int, Meta(ge=0)]
NotNegativeFloat = Annotated[float, Meta(ge=0.0)]
Rate = Annotated[float, Meta(ge=0.0, lt=1.0)]

# What every stack of Transformer layers may have, explained once.
Activation = Annotated[
    Literal["relu", "gelu", "gelu_tanh", "quick_gelu", "silu"],
    Meta(
        description='Inside the feed-forward networks. "gelu_tanh" (transformers: gelu_new) and "quick_gelu" are '
        "approximations of the exact GELU, for models that were trained with them."
    ),
]
Gated = Annotated[
    bool,
    Meta(
        description="Feed-forward networks with a gate (Shazeer, 2020): down(activation(gate(x)) · up(x)), known as "
        'GEGLU with activation "gelu" and as SwiGLU with "silu".'
    ),
]
NormKind = Annotated[
    Literal["layer", "rms"],
    Meta(description="Every norm is a layer norm, or an RMSNorm, which takes no mean off (Zhang and Sennrich, 2019)."),
]
NormEps = Annotated[float, Meta(gt=0.0, description="Added to the variance (or mean square) in every norm.")]

# How hard attention is trained.
RewardBaseline = Annotated[
    Literal["soft", "mean"],
    Meta(
        description="What REINFORCE takes off the log-probability of a word, beside a moving mean of what is left: "
        '"soft": the log-probability by soft attention, for which the words are decoded a second time (Deng et al., '
        '2018); "mean": nothing.'
    ),
]
SoftBatches = Annotated[
    int,
    Meta(
        ge=0,
        description="How many batches are trained with soft attention before positions are sampled; a short training "
        "needs fewer.",
    ),
]
SoftShare = Annotated[
    float,
    Meta(
        ge=0.0,
        lt=1.0,
        description="How much of the loss is that of soft attention after these batches (Xu et al., 2015, section "
        "4.1, set half of the samples to their mean).",
    ),
]

# What a text is read between, and relative positions.
BosId = Annotated[
    NotNegative | None,
    Meta(description="The token before a text. A converted model keeps its own; null: there is none."),
]
EosId = Annotated[
    NotNegative | None,
    Meta(description="The token behind a text, where a model reads one there: those of BERT's family do."),
]
RelativeBuckets = Annotated[
    int,
    Meta(
        ge=0,
        le=2**16,
        description="Relative positions: a trained number for each head and bucket of distances, added to the scores "
        "of the self-attention in all layers (T5: Raffel et al., 2020). 0: none.",
    ),
]
RelativeDistance = Annotated[
    int,
    Meta(ge=1, le=2**16, description="Distances beyond this share the last bucket."),
]

# What stands around the embeddings of tokens.
ScaleEmbeddings = Annotated[
    bool, Meta(description="Multiply embeddings by the square root of d_model, as in the paper.")
]
EmbeddingNorm = Annotated[bool, Meta(description="A norm behind the embeddings, as in BERT and BART.")]
PositionSpacing = Annotated[
    Literal["paper", "tensor2tensor"],
    Meta(
        description="Frequencies of sinusoids: the paper's, or those of tensor2tensor, fairseq and Marian, the slowest "
        "of which is 1/10000 itself."
    ),
]
PositionOffset = Annotated[
    int,
    Meta(
        ge=0,
        le=2**24,
        description="The first token's position. Models of fairseq's family count from padding_idx + 1: often 2.",
    ),
]


def check_relative(buckets: int, distance: int, one_sided: bool = False) -> None:
    """Raises ValueError for relative positions that are none. one_sided: of a stack that sees only what is before."""
    share, part = (2, "half") if one_sided else (4, "a quarter")
    if buckets and (buckets < 4 or distance <= buckets // share):
        raise ValueError(
            f"relative_buckets: expected 0, or at least 4 and {part} of them below relative_distance = {distance}, got "
            f"{buckets}"
        )


def written(config: msgspec.Struct) -> dict[str, Any]:
    """What config.json says of a model: all keys, but of those that its class calls LATER, which version 0.1.0 did not
    know, only the ones that are not as they were then. So a model that needs no new key is written as it always was."""
    table: dict[str, Any] = msgspec.to_builtins(config)
    later: frozenset[str] = getattr(type(config), "LATER", frozenset())
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        if field.name in later and value == field.default:
            del table[field.name]
        elif isinstance(value, msgspec.Struct):
            table[field.name] = written(value)
    return table
