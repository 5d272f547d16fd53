"""The configuration of the encoder that makes vectors of texts."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from attnkit.models.text_stack import TextStackConfig, check_room


class SentenceEncoderConfig(
    TextStackConfig, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="sentence-encoder"
):
    """A Transformer encoder that makes one vector of a text (Sentence-BERT: Reimers and Gurevych, 2019)."""

    LATER: ClassVar = TextStackConfig.LATER

    pooling: Annotated[
        Literal["mean", "cls"],
        Meta(description='How a text becomes one vector: the mean of all states, or "cls", that of the first token.'),
    ] = "mean"

    normalize: Annotated[bool, Meta(description="Vectors have length 1, so that their product is a cosine.")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_room(self)
