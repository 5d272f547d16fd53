"""The configuration of the encoder that makes vectors of texts."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from attnkit.models.config import NotNegative, Positive
from attnkit.models.text_stack import TextStackConfig, check_room

Pooling = Literal["mean", "cls", "max", "mean_sqrt_len", "weightedmean", "last", "end", "highest"]
ONE_TOKEN = ("end", "highest")
"""Poolings that look for a token, each the only one of its model."""


class Projection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A layer behind the pooling, y = activation(x · weightᵀ + bias)."""

    width: Annotated[Positive, Meta(description="Of what it gives.")]

    activation: Annotated[
        Literal["tanh", "relu", "gelu"] | None, Meta(description="Behind the product; none where not given.")
    ] = None


class SentenceEncoderConfig(
    TextStackConfig, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="sentence-encoder"
):
    """A Transformer encoder that makes one vector of a text (Sentence-BERT: Reimers and Gurevych, 2019)."""

    LATER: ClassVar = TextStackConfig.LATER | {"fill_id"}

    pooling: Annotated[
        Pooling | Annotated[tuple[Pooling, ...], Meta(min_length=1, max_length=6)],
        Meta(
            description="How a text becomes one vector: the mean of all states, that of the first token, the largest "
            "of each number, the sum over the root of the length, the mean weighted by position, or the last state; "
            "several stand beside each other. Or, alone, as in CLIP, the state of the first token eos_id (end), or of "
            "that with the highest number (highest)."
        ),
    ] = "mean"

    projections: Annotated[
        tuple[Projection, ...], Meta(max_length=8, description="Layers behind the pooling, one after the other.")
    ] = ()

    normalize: Annotated[bool, Meta(description="Vectors have length 1, so that their product is a cosine.")] = False

    causal: Annotated[bool, Meta(description="A token sees itself and those before it alone.")] = False

    fill_id: Annotated[
        NotNegative | None,
        Meta(
            description="Texts are filled up with this token to max_length, and it takes part as any other, as in "
            "SigLIP (Zhai et al., 2023)."
        ),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_room(self)
        kinds = (self.pooling,) if isinstance(self.pooling, str) else self.pooling
        if len(kinds) > 1 and (alone := next((kind for kind in kinds if kind in ONE_TOKEN), None)):
            raise ValueError(f'pooling: expected "{alone}" alone, got {len(kinds)} of them')
        if kinds[0] in ONE_TOKEN and self.eos_id is None:
            raise ValueError(f'eos_id: expected one with pooling = "{kinds[0]}", got null')
