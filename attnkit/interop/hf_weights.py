"""The tensors of Hugging Face's translation models as parameters of our Transformer: other names, and matrices that lie
on top of each other here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.interop.tensors import Tensors
from attnkit.models.registry import build_model
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.init import InitLimitError, skip_init
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
_STACKS = ("encoder", "decoder")

Parts = dict[str, tuple[str, ...]]


def load_seq2seq(
    tensors: Tensors, config: TransformerConfig, sizes: tuple[int, int], positions: tuple[str, ...]
) -> tuple[Any, list[str]]:
    """The model of a checkpoint, in evaluation mode, and the names of the tensors that it does without.

    sizes: of the vocabularies. positions: the names of tables of positions, which the model computes. Raises ValueError
    where the tensors are not those that the configuration describes.
    """
    model = _built(tensors, config, sizes)
    layers, shared = _layer_parts(config), _shared_parts(config)
    for name, parameter in model.named_parameters():
        shape = parameter.shape
        if name in layers:
            parts = [tensors.read(part, (shape[0] // len(layers[name]), *shape[1:])) for part in layers[name]]
            parameter.copy_(np.concatenate(parts))
        elif name in shared:
            parameter.copy_(_read_first(tensors, shared[name], shape, same=config.tie_embeddings != "none"))
        else:
            parameter.copy_(_bias(tensors, shape))
    unread = sorted(tensors.names() - {_BIAS, *positions}.union(*layers.values(), *shared.values()))
    if more := [name for name in unread if ".layers." in name]:
        raise ValueError(f"[convert] {tensors.folder}: expected no layer's tensor {more[0]} by config.json, got one")
    model.eval()
    return model, unread


def left_out_tensors(tensors: Tensors, unread: list[str], kind: str) -> list[str]:
    """The line that names them; `kind` of model does not have such."""
    more = f" and {len(unread) - 1} more tensors" if len(unread) > 1 else ""
    return [f"{tensors.file}: {unread[0]}{more} is left out, which {kind} does not have"] if unread else []


def _built(tensors: Tensors, config: TransformerConfig, sizes: tuple[int, int]) -> Any:
    """Sizes of the configuration are believed once they fit the tensors."""
    size = tensors.total_size()
    try:
        if config.d_model**2 > size:
            raise InitLimitError
        # A matrix that the checkpoint has once may be three here; what is far beyond it is refused before its memory is
        # taken.
        with skip_init(4 * size):
            return build_model(config, *sizes)
    except InitLimitError:
        raise ValueError(f"[convert] {tensors.file}: config.json describes a larger model than its tensors") from None


def _layer_parts(config: TransformerConfig) -> Parts:
    """Our parameters of the layers and of the last norms, and the tensors of which each consists."""
    stacks = (("encoder", config.encoder_layers, ENCODER_LAYER), ("decoder", config.decoder_layers, DECODER_LAYER))
    parts = {
        f"{stack}.layers.{index}.{name}.{kind}": tuple(f"model.{stack}.layers.{index}.{part}.{kind}" for part in parts)
        for stack, count, layer in stacks
        for index in range(count)
        for name, parts in layer.items()
        for kind in ("weight", "bias")
    }
    if config.norm == "pre":
        parts |= {
            f"{stack}.last_norm.{kind}": (f"model.{stack}.layer_norm.{kind}",)
            for stack in _STACKS
            for kind in ("weight", "bias")
        }
    return parts


def _shared_parts(config: TransformerConfig) -> Parts:
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


def _read_first(
    tensors: Tensors, names: tuple[str, ...], shape: tuple[int, ...], same: bool
) -> npt.NDArray[np.float32]:
    """The first of the names that is there. With `same` all of them are one tensor, held several times."""
    first, *others = [name for name in names if name in tensors] or [names[0]]
    array = tensors.read(first, shape)
    for other in others:
        if same and not np.array_equal(array, tensors.read(other, shape)):
            raise ValueError(f"[convert] {tensors.folder}: expected {first} and {other} to be one, got two")
    return array


def _bias(tensors: Tensors, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return tensors.read(_BIAS, (1, *shape))[0] if _BIAS in tensors else np.zeros(shape, np.float32)


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
