"""The configuration of the Transformer that classifies texts."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from attnkit.models.config import (
    Activation,
    Layers,
    Positive,
)
from attnkit.models.text_stack import TextStackConfig, check_room

Pooling = Annotated[
    Literal["attention", "mean", "cls", "last"],
    Meta(
        description='How a document becomes one vector: "attention" learns which tokens count (Yang et al., '
        '2016); "mean" counts all alike; "cls" takes the state of the start token (Devlin et al., '
        '2019), "last" that of the last one (Radford et al., 2018).'
    ),
]


class TransformerClassifierConfig(
    TextStackConfig,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="type",
    tag="transformer-classifier",
):
    """A Transformer encoder (Vaswani et al., 2017) whose states are pooled into one vector a document.

    It reads each document as one sequence, a start token before it.
    """

    LATER: ClassVar = TextStackConfig.LATER | {"causal", "pooler"}

    pooling: Pooling = "attention"

    causal: Annotated[
        bool,
        Meta(
            description="Each token sees only those before it, as in a language model, whose weights then fit "
            "(Radford et al., 2018)."
        ),
    ] = False

    pooler: Annotated[
        Literal["tanh", "relu", "gelu"] | None,
        Meta(
            description="A layer with this activation between the vector of a document and the output layer, as the "
            "models of BERT's family have (Devlin et al., 2019)."
        ),
    ] = None

    d_model: Annotated[Positive, Meta(description="Width of the states.")] = 128

    ffn: Annotated[Positive, Meta(description="Width inside the feed-forward networks.")] = 512

    layers: Annotated[Layers, Meta(description="Encoder layers.")] = 2

    activation: Activation = "relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_room(self)
        if self.causal and self.pooling == "cls":
            raise ValueError('pooling: expected another for causal = true, whose start token sees nothing, got "cls"')
