"""What the configurations of models share. Each model's own lies beside it, in `<model>_config.py`: it is kept with the
weights in config.json, and written as [model] in a training TOML."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Positive = Annotated[int, Meta(ge=1)]
# A width too large has no memory and says so; layers are small, and building 2^63 of them would never end.
Layers = Annotated[int, Meta(ge=1, le=1000)]
NotNegative = Annotated[int, Meta(ge=0)]
NotNegativeFloat = Annotated[float, Meta(ge=0.0)]
Rate = Annotated[float, Meta(ge=0.0, lt=1.0)]
