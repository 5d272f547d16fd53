"""ViT (Dosovitskiy et al., 2021) and DeiT (Touvron et al., 2021) as transformers keeps them."""

from __future__ import annotations

import os
import re
from typing import Any

import msgspec

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import ACTIVATIONS, HiddenAct
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, weight_and_bias
from attnkit.interop.huggingface.image_processor import read_image_processor
from attnkit.interop.huggingface.labels import read_labels
from attnkit.interop.huggingface.vit_parts import patch_weight, placed_tokens, vit_config, write_vit
from attnkit.models.config import Layers, Positive, Rate
from attnkit.models.vit_config import ViTConfig

Side = Positive | tuple[Positive, ...]

# The names of the parts of a layer: since version 5, and before.
_SINCE = {
    "attention.attention.query": "attention.q_proj",
    "attention.attention.key": "attention.k_proj",
    "attention.attention.value": "attention.v_proj",
    "attention.output.dense": "attention.o_proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")


class HuggingFaceViT(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    hidden_size: Positive = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Positive = 12
    intermediate_size: Positive = 3072
    hidden_act: HiddenAct = "gelu"
    hidden_dropout_prob: Rate = 0.0
    attention_probs_dropout_prob: Rate = 0.0
    layer_norm_eps: float = 1e-12
    image_size: Side = 224
    patch_size: Side = 16
    num_channels: Positive = 3
    qkv_bias: bool = True


def convert_vit(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all: a
    classifier of images, or an encoder of them.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory, vit_name)
    heads = _heads(checkpoint)
    config = read_vit_config(checkpoint, len(heads))
    labels = read_labels(checkpoint) if heads else []
    kind = "DeiT" if checkpoint.table.get("model_type") == "deit" else "ViT"
    image = read_image_processor(checkpoint.folder, config.channels, kind)
    return write_vit(checkpoint, config, vit_plan(checkpoint, config, heads), labels, image)


def vit_name(name: str) -> str:
    """For `Checkpoint.open`: the names since version 5, without that of the model."""
    name = name.removeprefix("vit.").removeprefix("deit.")
    if found := _LAYER.fullmatch(name):
        number, part, kind = found.groups()
        return f"layers.{number}.{_SINCE.get(part, part)}.{kind}"
    return name


def _heads(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The names of the layers that classify: of the class token, and of the distillation token. None of an encoder."""
    architecture = checkpoint.architecture
    if architecture.endswith("ForImageClassificationWithTeacher"):
        return ("cls_classifier", "distillation_classifier")
    if architecture.endswith("ForImageClassification"):
        return ("classifier",)
    if architecture and not architecture.endswith("Model"):
        raise checkpoint.refused(f"expected a classifier of images or an encoder, got {architecture!r}")
    return ()


def read_vit_config(checkpoint: Checkpoint, heads: int = 0) -> ViTConfig:
    """What the checkpoint's table says. heads: how many layers classify. Raises ValueError."""
    said = checkpoint.config(HuggingFaceViT)
    distilled = checkpoint.table.get("model_type") == "deit"
    return vit_config(
        checkpoint,
        image_size=_side(checkpoint, "image_size", said.image_size),
        patch_size=_side(checkpoint, "patch_size", said.patch_size),
        channels=said.num_channels,
        d_model=said.hidden_size,
        layers=said.num_hidden_layers,
        heads=said.num_attention_heads,
        ffn=said.intermediate_size,
        distillation=("head" if heads == 2 else "token") if distilled else "none",
        norm_eps=said.layer_norm_eps,
        activation=ACTIVATIONS[said.hidden_act],
        dropout=said.hidden_dropout_prob,
        attention_dropout=said.attention_probs_dropout_prob,
    )


def _side(checkpoint: Checkpoint, key: str, said: Any) -> int:
    sides = said if isinstance(said, tuple) else (said,)
    if not sides or len(set(sides)) != 1:
        raise checkpoint.refused(f"{key}: expected a square, got {list(sides)}")
    return int(sides[0])


def vit_plan(
    checkpoint: Checkpoint, config: ViTConfig, heads: tuple[str, ...] = (), prefix: str = ""
) -> dict[str, Any]:
    """heads: the names of the layers that classify. prefix: what stands before all of their names, where the encoder is
    a part of a model."""
    tokens = [f"{prefix}embeddings.cls_token"]
    if config.distillation != "none":
        tokens.append(f"{prefix}embeddings.distillation_token")
    projection = f"{prefix}embeddings.patch_embeddings.projection"
    plan: dict[str, Any] = {
        **placed_tokens(tokens, f"{prefix}embeddings.position_embeddings", config),
        "patches.projection.weight": patch_weight(f"{projection}.weight", config),
        "patches.projection.bias": Part((f"{projection}.bias",)),
        **weight_and_bias("encoder.last_norm", f"{prefix}layernorm"),
    }
    for index in range(config.sizes[1]):
        plan |= _layer(f"encoder.layers.{index}", f"{prefix}layers.{index}", checkpoint.config(HuggingFaceViT).qkv_bias)
    for ours, theirs in zip(("head", "distillation_head"), heads, strict=False):
        plan |= weight_and_bias(ours, theirs)
    return plan


def _layer(ours: str, theirs: str, biased: bool) -> dict[str, Any]:
    plan: dict[str, Any] = {
        **weight_and_bias(f"{ours}.attention.projection", *(f"{theirs}.attention.{name}_proj" for name in "qkv")),
        **weight_and_bias(f"{ours}.attention.output", f"{theirs}.attention.o_proj"),
        **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.layernorm_before"),
        **weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.mlp.fc1"),
        **weight_and_bias(f"{ours}.feed_forward.down", f"{theirs}.mlp.fc2"),
        **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.layernorm_after"),
    }
    return plan if biased else plan | {f"{ours}.attention.projection.bias": None}
