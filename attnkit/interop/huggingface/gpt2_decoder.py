"""GPT-2 (Radford et al., 2019) as the decoder of an image's encoder: its layers with a cross-attention in each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from attnkit.interop.hf_config import ACTIVATIONS, HiddenAct
from attnkit.interop.huggingface.captioners import Decoder, is_tied
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, weight_and_bias
from attnkit.interop.huggingface.gpt2 import conv1d, gpt2_layer
from attnkit.models.config import Layers, Positive, Rate

_MODEL, _OUTPUT = "decoder.transformer", "decoder.lm_head.weight"


class Gpt2DecoderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    vocab_size: Positive = 50257
    n_positions: Annotated[int, Meta(ge=3, le=2**24)] = 1024
    n_embd: Positive = 768
    n_layer: Layers = 12
    n_head: Positive = 12
    n_inner: Positive | None = None
    activation_function: HiddenAct = "gelu_new"
    resid_pdrop: Rate = 0.1
    attn_pdrop: Rate = 0.1
    layer_norm_epsilon: float = 1e-5
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    add_cross_attention: Literal[True] = True


def gpt2_decoder(checkpoint: Checkpoint, memory_width: int) -> Decoder:
    """checkpoint: with the decoder's table. memory_width: of the encoder's states, which are projected where it is not
    the decoder's. Raises ValueError."""
    c = checkpoint.config(Gpt2DecoderConfig)
    embedding = f"{_MODEL}.wte.weight"
    tied = is_tied(checkpoint, _OUTPUT, embedding, (c.vocab_size, c.n_embd))
    plan: dict[str, Part | None] = {
        "decoder.embedding.weight": Part((embedding,)),
        "decoder.embedding.positions.weight": Part((f"{_MODEL}.wpe.weight",)),
        **weight_and_bias("decoder.decoder.last_norm", f"{_MODEL}.ln_f"),
        "output.weight": Part((_OUTPUT,)),
    }
    for index in range(c.n_layer):
        plan |= _layer(f"decoder.decoder.layers.{index}", f"{_MODEL}.h.{index}")
    return Decoder(_keys(c, tied), c.vocab_size, plan)


def _keys(c: Gpt2DecoderConfig, tied: bool) -> dict[str, Any]:
    return dict(
        layers=c.n_layer,
        width=c.n_embd,
        heads=c.n_head,
        ffn=c.n_inner or 4 * c.n_embd,
        norm="pre",
        norm_eps=c.layer_norm_epsilon,
        activation=ACTIVATIONS[c.activation_function],
        dropout=c.resid_pdrop,
        attention_dropout=c.attn_pdrop,
        activation_dropout=0.0,
        scale_embeddings=False,
        tie_embeddings=tied,
        output_bias=False,
        max_length=c.n_positions,
    )


def _layer(ours: str, theirs: str) -> Plan:
    return {
        **{name.replace(".attention", ".self_attention"): part for name, part in gpt2_layer(ours, theirs).items()},
        **conv1d(f"{ours}.cross_attention.query", f"{theirs}.crossattention.q_attn"),
        **conv1d(f"{ours}.cross_attention.key_value", f"{theirs}.crossattention.c_attn"),
        **conv1d(f"{ours}.cross_attention.output", f"{theirs}.crossattention.c_proj"),
        **weight_and_bias(f"{ours}.cross_attention_norm", f"{theirs}.ln_cross_attn"),
    }
