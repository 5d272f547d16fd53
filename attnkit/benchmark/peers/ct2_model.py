"""A model for CTranslate2: python -m attnkit.benchmark.peers.ct2_model MODEL FOLDER COMPUTE_TYPE...

A model directory becomes FOLDER/COMPUTE_TYPE, weight by weight, so that both libraries compute the same. Which models
it takes is said by `translate_peers.not_carried`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import ctranslate2
import numpy as np

from attnkit.benchmark.peers.ct2_translate_worker import entries_of
from attnkit.models import Transformer
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.positions import sinusoids
from attnkit.tasks.shared.directory import ModelDirectory

_ENCODER = {
    "self_attention.linear_0": "attention.projection",
    "self_attention.linear_1": "attention.output",
    "self_attention.layer_norm": "attention_norm",
}
_DECODER = {
    "self_attention.linear_0": "self_attention.projection",
    "self_attention.linear_1": "self_attention.output",
    "self_attention.layer_norm": "self_attention_norm",
    "attention.linear_0": "cross_attention.query",
    "attention.linear_1": "cross_attention.key_value",
    "attention.linear_2": "cross_attention.output",
    "attention.layer_norm": "cross_attention_norm",
}
_FEED_FORWARD = {
    "ffn.linear_0": "feed_forward.up",
    "ffn.linear_1": "feed_forward.down",
    "ffn.layer_norm": "feed_forward_norm",
}

_ACTIVATIONS = {"relu": ctranslate2.specs.Activation.RELU, "silu": ctranslate2.specs.Activation.SWISH}


def main(model_name: str, folder_name: str, *compute_types: str) -> None:
    folder = Path(folder_name)
    directory = ModelDirectory.read(model_name)
    model = cast(Transformer, directory.load_model())
    entries = entries_of(directory.tokenizers().target)
    for compute_type in compute_types:
        spec = _spec(model.config, model.state_dict(), entries)
        spec.validate()
        spec.optimize(quantization=compute_type)
        (folder / compute_type).mkdir()
        spec.save(str(folder / compute_type))


def _spec(config: TransformerConfig, weights: dict[str, np.ndarray], entries: list[str]) -> Any:
    spec = ctranslate2.specs.TransformerSpec.from_config(
        (config.encoder_layers, config.decoder_layers),
        config.heads,
        pre_norm=False,
        activation=_ACTIVATIONS[config.activation],
    )
    for side, layers, names in (
        (spec.encoder, "encoder", _ENCODER | _FEED_FORWARD),
        (spec.decoder, "decoder", _DECODER | _FEED_FORWARD),
    ):
        for index, layer in enumerate(side.layer):
            for theirs, ours in names.items():
                _set(layer, theirs, weights, f"{layers}.layers.{index}.{ours}")
        embeddings = side.embeddings[0] if layers == "encoder" else side.embeddings
        embeddings.weight = weights["source_embedding.weight"]
        side.scale_embeddings = np.dtype("float32").type(config.d_model**0.5 if config.scale_embeddings else 1)
        side.position_encodings.encodings = sinusoids(
            config.max_length,
            config.d_model,
            config.positions == "sinusoidal-halves",
            config.position_spacing,
            config.position_offset,
        )
    spec.decoder.projection.weight = weights["source_embedding.weight"]
    if config.output_bias:
        spec.decoder.projection.bias = weights["tied_output_bias"]
    spec.config.decoder_start_token, spec.config.eos_token = entries[config.bos_id], entries[config.eos_id]
    spec.register_source_vocabulary(entries)
    spec.register_target_vocabulary(entries)
    return spec


def _set(layer: Any, theirs: str, weights: dict[str, np.ndarray], ours: str) -> None:
    """Their part by the name of its place, such as attention.linear_0: linear is a list there."""
    *path, last = theirs.split(".")
    part = layer
    for name in path:
        part = getattr(part, name)
    if last == "layer_norm":
        part.layer_norm.gamma, part.layer_norm.beta = weights[f"{ours}.weight"], weights[f"{ours}.bias"]
        return
    kind, _, index = last.partition("_")
    linear = getattr(part, last) if path[-1] == "ffn" else getattr(part, kind)[int(index)]
    linear.weight, linear.bias = weights[f"{ours}.weight"], weights[f"{ours}.bias"]


if __name__ == "__main__":
    main(*sys.argv[1:])
