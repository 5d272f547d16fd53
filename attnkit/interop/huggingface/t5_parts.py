"""What the names of a T5's tensors have in common, of a whole model and of its encoder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit.interop.huggingface.filling import Part, Plan

if TYPE_CHECKING:
    from attnkit.interop.huggingface.t5 import T5Config

EMBEDDINGS = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
"""Names of one matrix, of which a file has some."""


def encoder_plan(config: T5Config) -> Plan:
    """Of our parameters below `encoder`."""
    return {
        **_stack("encoder", config, config.num_layers),
        "encoder.last_norm.weight": Part(("encoder.final_layer_norm.weight",)),
    }


def decoder_plan(config: T5Config) -> Plan:
    """Of those below `decoder`, whose last norm has what states are multiplied by before the output matrix."""
    layers = config.num_layers if config.num_decoder_layers is None else config.num_decoder_layers
    return {
        **_stack("decoder", config, layers),
        "decoder.last_norm.weight": Part(("decoder.final_layer_norm.weight",), scale=config.output_scale),
    }


def _stack(stack: str, config: T5Config, layers: int) -> Plan:
    bias = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    plan: dict[str, Part | None] = {f"{stack}.position_bias.weight": Part((bias,))}
    for index in range(layers):
        plan |= _layer(stack, index, config)
    return plan


def _layer(stack: str, index: int, config: T5Config) -> dict[str, Part | None]:
    ours, theirs = f"{stack}.layers.{index}", f"{stack}.block.{index}.layer"
    root = config.d_kv**0.5
    attention = "attention" if stack == "encoder" else "self_attention"
    itself = [f"{theirs}.0.SelfAttention.{name}.weight" for name in "qkv"]
    plan: dict[str, Part | None] = {
        f"{ours}.{attention}.projection.weight": Part(tuple(itself), scale=(root, 1.0, 1.0)),
        f"{ours}.{attention}.output.weight": Part((f"{theirs}.0.SelfAttention.o.weight",)),
        f"{ours}.{attention}_norm.weight": Part((f"{theirs}.0.layer_norm.weight",)),
    }
    if stack == "decoder":
        cross = f"{theirs}.1.EncDecAttention"
        plan |= {
            f"{ours}.cross_attention.query.weight": Part((f"{cross}.q.weight",), scale=root),
            f"{ours}.cross_attention.key_value.weight": Part((f"{cross}.k.weight", f"{cross}.v.weight")),
            f"{ours}.cross_attention.output.weight": Part((f"{cross}.o.weight",)),
            f"{ours}.cross_attention_norm.weight": Part((f"{theirs}.1.layer_norm.weight",)),
        }
    last = f"{theirs}.{1 if stack == 'encoder' else 2}"
    dense = f"{last}.DenseReluDense"
    plan |= {
        f"{ours}.feed_forward.up.weight": Part((f"{dense}.wi_1.weight" if config.gated else f"{dense}.wi.weight",)),
        f"{ours}.feed_forward.gate.weight": Part((f"{dense}.wi_0.weight",)) if config.gated else None,
        f"{ours}.feed_forward.down.weight": Part((f"{dense}.wo.weight",)),
        f"{ours}.feed_forward_norm.weight": Part((f"{last}.layer_norm.weight",)),
    }
    # It has no biases.
    return plan | {name.removesuffix("weight") + "bias": None for name in plan if not name.endswith("norm.weight")}
