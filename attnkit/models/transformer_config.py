"""The configuration of the Transformer encoder-decoder."""

from __future__ import annotations

from typing import Literal

import msgspec

from attnkit.models.config import NotNegative, Positive, Rate
from attnkit.text.tokenizers.vocabulary import BOS, EOS


class TransformerConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type", tag="transformer"
):
    """A Transformer encoder-decoder (Vaswani et al., 2017)."""

    d_model: Positive = 512
    """Width of the states."""

    ffn: Positive = 2048
    """Width inside the feed-forward networks."""

    heads: Positive = 8
    """Attention heads; d_model must be a multiple."""

    decoder_ffn: Positive | None = None
    """Of the decoder; as `ffn` where not given."""

    decoder_heads: Positive | None = None
    """Of the decoder; as `heads` where not given."""

    encoder_layers: Positive = 6
    """Layers that read the source."""

    decoder_layers: Positive = 6
    """Layers that write the target."""

    dropout: Rate = 0.1
    """Of embeddings and of each sublayer's result; in training only."""

    attention_dropout: Rate | None = None
    """Of attention weights; as `dropout` where not given."""

    activation_dropout: Rate | None = None
    """Inside the feed-forward networks, behind the activation; as `dropout` where not given."""

    norm: Literal["post", "pre"] = "post"
    """Layer norm after each sublayer, as in the paper, or before it, which trains deep stacks more easily."""

    activation: Literal["relu", "gelu", "silu"] = "relu"
    """Inside the feed-forward networks."""

    tie_embeddings: Literal["all", "decoder", "none"] = "all"
    """"all": source, target and output share one matrix (needs a joint vocabulary); "decoder": target and output do."""

    output_bias: bool = False
    """A trained bias of the logits, where the output shares its matrix; without sharing there always is one."""

    scale_embeddings: bool = True
    """Multiply embeddings by the square root of d_model, as in the paper."""

    positions: Literal["sinusoidal", "sinusoidal-halves", "learned", "none"] = "sinusoidal"
    """Fixed sinusoids, sine and cosine in turn, as in the paper, or all sines first, as Marian has them; or trained
    vectors for up to `max_length` positions. "none" is there to see what becomes of it: the encoder then reads a bag of
    words."""

    max_length: Positive = 1024
    """Longest source and target, in tokens."""

    bos_id: NotNegative = BOS
    """What the decoder reads first. A converted model keeps its own."""

    eos_id: NotNegative = EOS
    """The token that ends a target. A converted model keeps its own."""

    def __post_init__(self) -> None:
        for name, heads in (("heads", self.heads), ("decoder_heads", self.decoder_heads)):
            if heads is not None and self.d_model % heads:
                raise ValueError(f"{name}: expected a divisor of d_model = {self.d_model}, got {heads}")
