"""Marian models as Hugging Face keeps them (Helsinki-NLP/opus-mt-* and their like), made into model directories.

The Transformer is ours, with Marian's choices in its configuration; only names and the order of matrices change. So
decoding and drawing work for converted models as for any other.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted, checked_folders
from attnkit.interop.marian_config import MarianConfig, read_configs
from attnkit.interop.marian_tokenizers import read_tokenizers
from attnkit.interop.tensors import Tensors
from attnkit.models.registry import build_model
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.init import InitLimitError, skip_init
from attnkit.nn.positions import sinusoids
from attnkit.tasks.shared.directory import save_directory

# Our layers, and theirs whose matrices lie on top of each other in ours.
_ENCODER_LAYER = {
    "attention.projection": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.output": ("self_attn.out_proj",),
    "attention_norm": ("self_attn_layer_norm",),
    "feed_forward.up": ("fc1",),
    "feed_forward.down": ("fc2",),
    "feed_forward_norm": ("final_layer_norm",),
}
_DECODER_LAYER = {
    **{name.replace("attention", "self_attention", 1): parts for name, parts in _ENCODER_LAYER.items()},
    "cross_attention.query": ("encoder_attn.q_proj",),
    "cross_attention.key_value": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "cross_attention.output": ("encoder_attn.out_proj",),
    "cross_attention_norm": ("encoder_attn_layer_norm",),
}
_SHARED, _OUTPUT, _BIAS = "model.shared.weight", "lm_head.weight", "final_logits_bias"
_SOURCE, _TARGET = "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"
_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")


def convert_marian(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    folder, target = checked_folders(source, directory)
    marian, config, defaults, left_out = read_configs(folder)
    # Sizes of the configuration are believed once they fit the tensors.
    tensors = Tensors(folder)
    model = _model(tensors, marian, config)
    tokenizers = read_tokenizers(folder, marian)
    with atomic_folder(target) as new:
        save_directory(model, new, "translate", tokenizers=tokenizers, decoding=defaults)
    left_out = [*tensors.notes, *left_out, *_left_out(tensors, marian, config)]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)


# ----- Weights


def _model(tensors: Tensors, marian: MarianConfig, config: TransformerConfig) -> Any:
    size = tensors.total_size()
    try:
        if config.d_model**2 > size:
            raise InitLimitError
        # A matrix that the checkpoint has once may be three here; what is far beyond it is refused before its memory is
        # taken.
        with skip_init(4 * size):
            model = build_model(config, marian.vocab_size, marian.target_vocab_size)
    except InitLimitError:
        raise ValueError(f"[convert] {tensors.file}: config.json describes a larger model than its tensors") from None
    layers, shared = _layer_parts(config), _shared_parts(marian)
    for name, parameter in model.named_parameters():
        shape = parameter.shape
        if name in layers:
            parts = [tensors.read(part, (shape[0] // len(layers[name]), *shape[1:])) for part in layers[name]]
            parameter.copy_(np.concatenate(parts))
        elif name in shared:
            parameter.copy_(_read_first(tensors, shared[name], shape, same=marian.tie_word_embeddings))
        else:
            parameter.copy_(_bias(tensors, shape))
    if more := [name for name in _unread(tensors, marian, config) if ".layers." in name]:
        raise ValueError(f"[convert] {tensors.folder}: expected no layer's tensor {more[0]} by config.json, got one")
    _check_positions(tensors, config)
    model.eval()
    return model


def _unread(tensors: Tensors, marian: MarianConfig, config: TransformerConfig) -> list[str]:
    """The names of the tensors that the model does without."""
    parts = (*_layer_parts(config).values(), *_shared_parts(marian).values())
    return sorted(tensors.names() - {_BIAS, *_POSITIONS}.union(*parts))


def _left_out(tensors: Tensors, marian: MarianConfig, config: TransformerConfig) -> list[str]:
    names = _unread(tensors, marian, config)
    more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
    return [f"{tensors.file}: {names[0]}{more} is left out, which a Marian model does not have"] if names else []


def _layer_parts(config: TransformerConfig) -> dict[str, tuple[str, ...]]:
    """Our parameters of the layers, and the tensors of which each consists."""
    stacks = (("encoder", config.encoder_layers, _ENCODER_LAYER), ("decoder", config.decoder_layers, _DECODER_LAYER))
    return {
        f"{stack}.layers.{index}.{name}.{kind}": tuple(f"model.{stack}.layers.{index}.{part}.{kind}" for part in parts)
        for stack, count, layer in stacks
        for index in range(count)
        for name, parts in layer.items()
        for kind in ("weight", "bias")
    }


def _shared_parts(marian: MarianConfig) -> dict[str, tuple[str, ...]]:
    """Our embeddings and output matrix, and the names that the same tensor can have."""
    if not marian.tie_word_embeddings:
        return {
            "source_embedding.weight": (_SOURCE, _SHARED),
            "target_embedding.weight": (_TARGET, _SHARED),
            "generator.weight": (_OUTPUT,),
        }
    if marian.share_encoder_decoder_embeddings:
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


def _check_positions(tensors: Tensors, config: TransformerConfig) -> None:
    """Sinusoids are computed, not loaded; where the checkpoint has them it must mean the same."""
    for name in _POSITIONS:
        if name in tensors:
            table = tensors.read(name, (config.max_length, config.d_model))
            if not np.allclose(
                table, sinusoids(config.max_length, config.d_model, halves=True), atol=1e-2
            ):  # it may be of bfloat16
                raise ValueError(f"[convert] {tensors.folder}: expected sinusoids in {name}, got other positions")
