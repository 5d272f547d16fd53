"""The configuration of image captioners: any vision encoder, any text decoder."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.models.cnn_config import CNNConfig
from attnkit.models.config import Positive, Rate
from attnkit.models.vit_config import ViTConfig

Weight = Annotated[float, Meta(ge=0.0)]


class LSTMDecoderConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="lstm"
):
    """An LSTM that writes captions: Show and Tell (Vinyals et al., 2015), or Show, Attend and Tell (Xu et al.,
    2015)."""

    attention: Literal["none", "soft", "hard"] = "soft"
    """"none": the LSTM sees the mean of the regions once, before the first word; "soft": before each word it sees their
    weighted mean; "hard": one region, sampled in training, which REINFORCE teaches to choose."""

    width: Positive = 256
    """Of the word vectors, and of what the words are read from."""

    hidden: Positive = 512
    """Of the LSTM's state."""

    dropout: Rate = 0.3
    """Of word vectors and of what the words are read from; in training only."""

    word_dropout: Rate = 0.0
    """The share of the words before that the decoder does not get to see in training (Bowman et al., 2016), so that it
    learns to look at the image rather than to guess."""

    coverage_penalty: Weight = 0.0
    """Soft attention: how much every region is to be looked at, over all words about once (λ in equation 14 of Xu et
    al.; they use 1.0). It spreads attention out."""

    entropy_bonus: Weight = 0.01
    """Hard attention: how much an undecided choice is rewarded, which keeps choices open (λ_e)."""

    max_length: Positive = 64
    """Longest caption that is written, in tokens, start token included."""


class TransformerDecoderConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="transformer"
):
    """A Transformer decoder that writes captions (Vaswani et al., 2017), with the norm first."""

    layers: Positive = 2
    """Layers."""

    width: Positive = 256
    """Of the states."""

    heads: Positive = 4
    """Attention heads; width must be a multiple."""

    ffn: Positive = 1024
    """Width inside the feed-forward networks."""

    dropout: Rate = 0.1
    """Of word vectors and of each sublayer's result; in training only."""

    attention_dropout: Rate = 0.0
    """Of attention weights."""

    word_dropout: Rate = 0.0
    """The share of the words before that the decoder does not get to see in training (Bowman et al., 2016), so that it
    learns to look at the image rather than to guess."""

    max_length: Positive = 64
    """Longest caption that is written, in tokens, start token included."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"heads: expected a divisor of width = {self.width}, got {self.heads}")


class CaptionerConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="captioner"
):
    """A vision encoder and a text decoder. Its own `type` is "captioner"; the parts have types of their own."""

    encoder: CNNConfig | ViTConfig
    """What looks at the image."""

    decoder: LSTMDecoderConfig | TransformerDecoderConfig
    """What writes."""
