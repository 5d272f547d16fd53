"""[pretrained]: a model that has learnt before."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from attnkit.models.config import Rate


class PretrainedModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every task says of a model that it trains on."""

    RATES: ClassVar[tuple[str, ...]] = ("dropout", "attention_dropout")
    """Keys that change those of the model."""

    model: Annotated[str, Meta(min_length=1, description="The model directory.")]

    freeze: Annotated[
        tuple[str, ...],
        Meta(
            description="Parameters that stay as they are: names of parts, such as `encoder` or "
            "`encoder.layers.0`, and patterns, such as `*.bias`. `attnkit inspect` lists the parts."
        ),
    ] = ()

    learning_rates: Annotated[
        dict[str, Annotated[float, Meta(gt=0.0)]],
        Meta(
            description='By what the learning rate is multiplied for parts of the model: `{"encoder.*" = 0.1}`. Of '
            "several patterns that fit the last one counts."
        ),
    ] = {}

    dropout: Annotated[Rate | None, Meta(description="As `model.dropout`; the model's own where not given.")] = None

    attention_dropout: Annotated[
        Rate | None, Meta(description="As `model.attention_dropout`; the model's own where not given.")
    ] = None


class PretrainedTextConfig(PretrainedModelConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the tasks that read text say of it."""

    RATES: ClassVar[tuple[str, ...]] = (*PretrainedModelConfig.RATES, "activation_dropout")

    activation_dropout: Annotated[
        Rate | None, Meta(description="As `model.activation_dropout`; the model's own where not given.")
    ] = None
