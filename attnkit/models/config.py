"""What the configurations of models share. Each model's own lies beside it, in `<model>_config.py`: it is kept with the
weights in config.json, and written as [model] in a training TOML."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
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
