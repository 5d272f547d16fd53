"""The tensors of transformers' encoder-decoders (Marian, M2M-100, BART and others) as parameters of our Transformer:
other names, and matrices that lie on top of each other here."""

from __future__ import annotations

from typing import Any

import numpy as np

from attnkit.interop.huggingface.filling import Part, Plan, Renamed, check_one, filled_model, weight_and_bias
from attnkit.interop.tensors import Tensors
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.positions import sinusoids

# Our layers, and theirs whose matrices lie on top of each other in ours.
ENCODER_LAYER = {
    "attention.projection": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.output": ("self_attn.out_proj",),
    "attention_norm": ("self_attn_layer_norm",),
    "feed_forward.up": ("fc1",),
    "feed_forward.down": ("fc2",),
    "feed_forward_norm": ("final_layer_norm",),
}
DECODER_LAYER = {
    **{name.replace("attention", "self_attention", 1): parts for name, parts in ENCODER_LAYER.items()},
    "cross_attention.query": ("encoder_attn.q_proj",),
    "cross_attention.key_value": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "cross_attention.output": ("encoder_attn.out_proj",),
    "cross_attention_norm": ("encoder_attn_layer_norm",),
}
_SHARED, _OUTPUT, _BIAS = "model.shared.weight", "lm_head.weight", "final_logits_bias"
_SOURCE, _TARGET = "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"


def load_seq2seq(
    tensors: Tensors, config: TransformerConfig, sizes: tuple[int, int], positions: tuple[str, ...] = ()
) -> tuple[Any, list[str]]:
    """The model of a checkpoint, in evaluation mode, and the names of the tensors that it does without.

    sizes: of the vocabularies. positions: the names of tables of positions, which the model computes. Raises ValueError
    where the tensors are not those that the configuration describes.
    """
    named = Renamed(tensors, _canonical)
    model, unread = filled_model(named, config, sizes, seq2seq_plan(named, config))
    _check_shared(named, config, sizes)
    known = {_BIAS, _SHARED, _SOURCE, _TARGET, _OUTPUT, *positions}
    unread = [name for name in unread if _canonical(name) not in known]
    if more := [name for name in unread if ".layers." in name]:
        raise ValueError(f"[convert] {tensors.folder}: expected no layer's tensor {more[0]} by config.json, got one")
    return model, unread


def seq2seq_plan(tensors: Renamed, config: TransformerConfig) -> Plan:
    """Of what each parameter of a Transformer is made: layers, embeddings with what stands behind them, the output."""
    plan: dict[str, Part | None] = {}
    for stack, count, layer in (
        ("encoder", config.encoder_layers, ENCODER_LAYER),
        ("decoder", config.decoder_layers, DECODER_LAYER),
    ):
        for index in range(count):
            for name, parts in layer.items():
                theirs = (f"model.{stack}.layers.{index}.{part}" for part in parts)
                plan |= weight_and_bias(f"{stack}.layers.{index}.{name}", *theirs)
        if config.norm == "pre":
            plan |= weight_and_bias(f"{stack}.last_norm", f"model.{stack}.layer_norm")
    for ours, stack in (("source_embedding", "encoder"), ("target_embedding", "decoder")):
        if config.positions == "learned":
            plan[f"{ours}.positions.weight"] = Part((f"model.{stack}.embed_positions.weight",))
        if config.embedding_norm:
            plan |= weight_and_bias(f"{ours}.norm", f"model.{stack}.layernorm_embedding")
    bias = Part((_BIAS,), row=True) if _BIAS in tensors else None
    plan |= {"generator.bias": bias, "tied_output_bias": bias}
    return plan | {name: Part((_first(tensors, names),)) for name, names in _shared_parts(config).items()}


def left_out_tensors(tensors: Tensors, unread: list[str], kind: str) -> list[str]:
    """The line that names them; `kind` of model does not have such."""
    more = f" and {len(unread) - 1} more tensors" if len(unread) > 1 else ""
    return [f"{tensors.file}: {unread[0]}{more} is left out, which {kind} does not have"] if unread else []


def _shared_parts(config: TransformerConfig) -> dict[str, tuple[str, ...]]:
    """Our embeddings and output matrix, and the names that the same tensor can have."""
    if config.tie_embeddings == "none":
        return {
            "source_embedding.weight": (_SOURCE, _SHARED),
            "target_embedding.weight": (_TARGET, _SHARED),
            "generator.weight": (_OUTPUT,),
        }
    if config.tie_embeddings == "all":
        return {"source_embedding.weight": (_SHARED, _SOURCE, _TARGET, _OUTPUT)}
    return {"source_embedding.weight": (_SOURCE,), "target_embedding.weight": (_TARGET, _OUTPUT)}


def _first(tensors: Renamed, names: tuple[str, ...]) -> str:
    """The first of the names that is there."""
    return next((name for name in names if name in tensors), names[0])


def _check_shared(tensors: Renamed, config: TransformerConfig, sizes: tuple[int, int]) -> None:
    """Raises ValueError where matrices that are one here differ."""
    if config.tie_embeddings == "none":
        return
    for ours, names in _shared_parts(config).items():
        check_one(tensors, names, (sizes[ours == "target_embedding.weight"], config.d_model))


def _canonical(name: str) -> str:
    """As a model with its output layer names its tensors; the stacks alone have no prefix."""
    return name if name.startswith("model.") or name in (_OUTPUT, _BIAS) else f"model.{name}"


def check_positions(
    tensors: Tensors, names: tuple[str, ...], shape: tuple[int, int], spacing: str = "paper", skipped: int = 0
) -> None:
    """Sinusoids are computed, not loaded; where the checkpoint has them, [shape], it must mean the same. The first
    `skipped` rows are those of no position."""
    for name in names:
        if name not in tensors:
            continue
        found = tensors.read(name, shape)
        expected = sinusoids(*shape, halves=True, spacing=spacing)
        if not np.allclose(found[skipped:], expected[skipped:], atol=1e-2):  # it may be of bfloat16
            raise ValueError(f"[convert] {tensors.folder}: expected sinusoids in {name}, got other positions")
