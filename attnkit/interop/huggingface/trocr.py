"""The decoder of TrOCR (Li et al., 2023), which reads lines of text in images: that of BART, norms behind sublayers."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from attnkit.interop.hf_config import ACTIVATIONS, HiddenAct
from attnkit.interop.hf_weights import DECODER_LAYER
from attnkit.interop.huggingface.captioners import Decoder, is_tied
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, weight_and_bias
from attnkit.models.config import Layers, NotNegative, Positive, Rate

_MODEL, _OUTPUT = "decoder.model.decoder", "decoder.output_projection.weight"
_OFFSET = 2  # rows of the table of positions that nothing reads


class TrOCRConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    vocab_size: Positive = 50265
    d_model: Positive = 1024
    decoder_layers: Layers = 12
    decoder_attention_heads: Positive = 16
    decoder_ffn_dim: Positive = 4096
    activation_function: HiddenAct = "gelu"
    max_position_embeddings: Annotated[int, Meta(ge=3, le=2**24)] = 512
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.0
    activation_dropout: Rate = 0.0
    scale_embedding: bool = False
    use_learned_position_embeddings: bool = True
    layernorm_embedding: bool = True
    pad_token_id: Annotated[int, Meta(ge=0, lt=2**24)] = 1
    cross_attention_hidden_size: NotNegative | None = None


def trocr_decoder(checkpoint: Checkpoint, memory_width: int) -> Decoder:
    """checkpoint: with the decoder's table. memory_width: of the encoder's states. Raises ValueError."""
    c = checkpoint.config(TrOCRConfig)
    if c.cross_attention_hidden_size not in (None, memory_width):
        raise checkpoint.refused(
            f"decoder.cross_attention_hidden_size: expected the encoder's width, {memory_width}, got "
            f"{c.cross_attention_hidden_size}"
        )
    embedding = f"{_MODEL}.embed_tokens.weight"
    tied = is_tied(checkpoint, _OUTPUT, embedding, (c.vocab_size, c.d_model))
    plan: dict[str, Part | None] = {
        "decoder.embedding.weight": Part((embedding,)),
        "decoder.embedding.positions.weight": Part((f"{_MODEL}.embed_positions.weight",)),
        **weight_and_bias("decoder.embedding.norm", f"{_MODEL}.layernorm_embedding"),
        "output.weight": Part((_OUTPUT,)),
    }
    for index in range(c.decoder_layers):
        plan |= _layer(f"decoder.decoder.layers.{index}", f"{_MODEL}.layers.{index}")
    return Decoder(_keys(c, tied), c.vocab_size, plan)


def _keys(c: TrOCRConfig, tied: bool) -> dict[str, Any]:
    sinusoids = {"positions": "sinusoidal-halves", "position_spacing": "tensor2tensor"}
    return dict(
        layers=c.decoder_layers,
        width=c.d_model,
        heads=c.decoder_attention_heads,
        ffn=c.decoder_ffn_dim,
        norm="post",
        activation=ACTIVATIONS[c.activation_function],
        dropout=c.dropout,
        attention_dropout=c.attention_dropout,
        activation_dropout=c.activation_dropout,
        scale_embeddings=c.scale_embedding,
        embedding_norm=c.layernorm_embedding,
        **({} if c.use_learned_position_embeddings else sinusoids),
        position_offset=_OFFSET if c.use_learned_position_embeddings else c.pad_token_id + 1,
        tie_embeddings=tied,
        output_bias=False,
        max_length=c.max_position_embeddings,
    )


def _layer(ours: str, theirs: str) -> dict[str, Part]:
    plan: dict[str, Part] = {}
    for name, parts in DECODER_LAYER.items():
        plan |= weight_and_bias(f"{ours}.{name}", *(f"{theirs}.{part}" for part in parts))
    return plan
