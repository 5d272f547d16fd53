"""[masking]: which tokens of a text are hidden from a model that learns to guess them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]


class MaskingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tokens are chosen anew in every epoch, and the model learns what they were (Devlin et al., 2019)."""

    share: Annotated[
        float,
        Meta(gt=0.0, lt=1.0, description="The share of a text's tokens that is chosen, one at least."),
    ] = 0.15

    mask: Annotated[
        Probability, Meta(description="The share of the chosen tokens of which the model reads `<mask>` instead.")
    ] = 0.8

    random: Annotated[
        Probability,
        Meta(description="The share of which it reads any other token, all alike; of the rest it reads the token."),
    ] = 0.1

    whole_words: Annotated[
        bool,
        Meta(description="Choose all pieces of a word together, where pieces of SentencePiece are tokens."),
    ] = False

    def __post_init__(self) -> None:
        if self.mask + self.random > 1.0:
            raise ValueError(f"random: expected at most 1 - mask = {1 - self.mask:g}, got {self.random}")
