"""Vision Transformers as timm keeps them: an architecture's name, and tensors that say the rest."""

from __future__ import annotations

import math
import os
import re
from math import isqrt
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from attnkit.interop.converted import Converted
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, Renamed, weight_and_bias
from attnkit.interop.huggingface.image_processor import made
from attnkit.interop.huggingface.vit_parts import Floats, patch_weight, placed_tokens, vit_config, write_vit
from attnkit.models.config import Positive
from attnkit.models.vit_config import ViTConfig
from attnkit.printable import quoted, shortened
from attnkit.vision.preprocessing import Preprocessing

_HEADS = {
    "tiny": 3, "xsmall": 4, "little": 5, "small": 6, "medium": 8, "betwixt": 10, "base": 12, "large": 16, "huge": 16,
    "giant": 16, "gigantic": 16,
}  # fmt: skip
"""Attention heads by the size in an architecture's name; nothing in the file says them."""

_NAME = re.compile(r"(?:vit|deit|deit3|flexivit)_([a-z]+)(?:_|$)")
_NUMBER = re.compile(r"blocks\.(\d+)\.norm1\.weight")


class _Arguments(msgspec.Struct, frozen=True):
    """What a model was made with that is not as its architecture has it."""

    num_heads: Positive | None = None
    act_layer: Literal["gelu", "quick_gelu", "relu", "silu"] | None = None


class _Images(msgspec.Struct, frozen=True):
    """How images are prepared. A file may leave out what has timm's default, which is given here."""

    input_size: tuple[Positive, Positive, Positive] = (3, 224, 224)
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"] = "bicubic"
    crop_pct: Annotated[float, Meta(ge=0.01, le=1.0)] | None = None
    crop_mode: Literal["center", "squash"] | None = None
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    label_names: tuple[str, ...] | None = None
    label_descriptions: dict[str, str] | None = None


class TimmConfig(msgspec.Struct, frozen=True):
    """config.json of a repository of timm's."""

    architecture: str
    num_classes: Annotated[int, Meta(ge=0)] = 1000
    global_pool: Literal["token", "avg"] = "token"
    model_args: _Arguments = _Arguments()
    pretrained_cfg: _Images = _Images()
    label_names: tuple[str, ...] | None = None
    label_descriptions: dict[str, str] | None = None


def convert_timm(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the ViT or DeiT of timm's in the folder `source` and writes the model directory `directory`, whole or not
    at all: a classifier of images, or an encoder of them.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory)
    said = checkpoint.config(TimmConfig)
    config = _config(checkpoint, said)
    plan = _plan(checkpoint.tensors, config, said.num_classes)
    used = {name for part in plan.values() if part is not None for name in part.names}
    if others := sorted(checkpoint.tensors.names() - used):
        raise checkpoint.refused(f"expected a plain ViT, got {quoted(said.architecture)} with a tensor {others[0]}")
    try:
        image = _preprocessing(said.pretrained_cfg)
    except ValueError as error:
        raise checkpoint.refused(f"pretrained_cfg: {shortened(str(error), 500)}") from None
    return write_vit(checkpoint, config, plan, _labels(checkpoint, said), image)


# ----- The model


def _config(checkpoint: Checkpoint, said: TimmConfig) -> ViTConfig:
    tensors = checkpoint.tensors
    kernel, table = _shape(checkpoint, "patch_embed.proj.weight", 4), _shape(checkpoint, "pos_embed", 3)
    tokens = [name for name in ("cls_token", "dist_token") if name in tensors]
    registers = _shape(checkpoint, "reg_token", 3)[1] if "reg_token" in tensors else 0
    # Either all tokens have a position or only the patches do; one count of the two is a square.
    side = next((isqrt(n) for n in (table[1] - len(tokens) - registers, table[1]) if n > 0 and isqrt(n) ** 2 == n), 0)
    if not side or kernel[2] != kernel[3]:
        raise checkpoint.refused(f"expected square patches of a square, got {kernel[2:]} and {table[1]} positions")
    if said.global_pool == "token" and not tokens:
        raise checkpoint.refused('global_pool: expected "avg" of a model without a class token, got "token"')
    pooling = "token" if said.global_pool == "token" else "mean-beside-token" if tokens else "mean"
    quick = "quickgelu" in said.architecture
    return vit_config(
        checkpoint,
        image_size=side * kernel[2],
        patch_size=kernel[2],
        channels=kernel[1],
        d_model=kernel[0],
        layers=len({found[1] for name in tensors.names() if (found := _NUMBER.fullmatch(name))}),
        heads=_heads(checkpoint, said),
        ffn=_shape(checkpoint, "blocks.0.mlp.fc1.weight", 2)[0],
        pooling=pooling,
        distillation="none" if len(tokens) < 2 else "head" if said.num_classes else "token",
        registers=registers,
        last_norm="pooled" if "fc_norm.weight" in tensors else "states",
        norm_eps=1e-6,
        activation=said.model_args.act_layer or ("quick_gelu" if quick else "gelu"),
    )


def _shape(checkpoint: Checkpoint, name: str, rank: int) -> tuple[int, ...]:
    """Of a tensor of so many sides, none of them 0. Raises ValueError for another."""
    shape = checkpoint.tensors.shape(name)
    if shape is None or len(shape) != rank or 0 in shape:
        got = "none" if shape is None else f"one of shape {list(shape)}"
        raise ValueError(f"[convert] {checkpoint.folder}: expected a tensor {name} with {rank} sides, got {got}")
    return shape


def _heads(checkpoint: Checkpoint, said: TimmConfig) -> int:
    if said.model_args.num_heads is not None:
        return said.model_args.num_heads
    found = _NAME.match(said.architecture)
    if found is None or found[1] not in _HEADS:
        known = ", ".join(f"vit_{name}" for name in _HEADS)
        raise checkpoint.refused(f"architecture: expected one of {known}, or deit, got {quoted(said.architecture)}")
    return _HEADS[found[1]]


def _plan(tensors: Renamed, config: ViTConfig, classes: int) -> Plan:
    tokens = [name for name in ("cls_token", "dist_token") if name in tensors]
    table = tensors.shape("pos_embed") or (0, 0, 0)
    placed = table[1] - (config.image_size // config.patch_size) ** 2
    plan: dict[str, Part | None] = {
        **placed_tokens(tokens, "pos_embed", config, placed),
        **_registers(len(tokens), placed, config),
        "patches.projection.weight": patch_weight("patch_embed.proj.weight", config),
        "patches.projection.bias": _bias(tensors, "patch_embed.proj.bias"),
    }
    plan |= weight_and_bias("pooled_norm", "fc_norm") if config.last_norm == "pooled" else {}
    plan |= weight_and_bias("encoder.last_norm", "norm") if config.last_norm == "states" else {}
    for index in range(config.sizes[1]):
        plan |= _layer(tensors, f"encoder.layers.{index}", f"blocks.{index}")
    if classes:
        plan |= weight_and_bias("head", "head")
        plan |= weight_and_bias("distillation_head", "head_dist") if config.distillation == "head" else {}
    return plan


def _registers(first: int, placed: int, config: ViTConfig) -> Plan:
    """They stand behind the `first` tokens, and have positions where more tokens than these are `placed`."""
    count = placed + (config.image_size // config.patch_size) ** 2

    def make(tensors: Renamed, shape: tuple[int, ...]) -> Floats:
        alone: Floats = tensors.read("reg_token", (1, *shape))[0]
        if placed > first:
            alone = alone + tensors.read("pos_embed", (1, count, shape[1]))[0, first:placed]
        return alone

    return {"register_tokens": Part(("reg_token", "pos_embed"), make=make)} if config.registers else {}


def _layer(tensors: Renamed, ours: str, theirs: str) -> dict[str, Part | None]:
    return {
        f"{ours}.attention.projection.weight": Part((f"{theirs}.attn.qkv.weight",)),
        f"{ours}.attention.projection.bias": _bias(tensors, f"{theirs}.attn.qkv.bias"),
        **_scaled(tensors, f"{ours}.attention.output", f"{theirs}.attn.proj", f"{theirs}.ls1.gamma"),
        **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.norm1"),
        **weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.mlp.fc1"),
        **_scaled(tensors, f"{ours}.feed_forward.down", f"{theirs}.mlp.fc2", f"{theirs}.ls2.gamma"),
        **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.norm2"),
    }


def _bias(tensors: Renamed, name: str) -> Part | None:
    return Part((name,)) if name in tensors else None


def _scaled(tensors: Renamed, ours: str, theirs: str, gamma: str) -> dict[str, Part | None]:
    """A layer whose results are multiplied by γ, one number for each (LayerScale: Touvron et al., 2021): so are its
    weights here."""
    if gamma not in tensors:
        return {**weight_and_bias(ours, theirs)}

    def of(name: str) -> Part:
        def make(found: Renamed, shape: tuple[int, ...]) -> Floats:
            scale = found.read(gamma, shape[:1])
            return found.read(name, shape) * (scale[:, None] if len(shape) == 2 else scale)

        return Part((name, gamma), make=make)

    return {f"{ours}.{kind}": of(f"{theirs}.{kind}") for kind in ("weight", "bias")}


# ----- Images and classes


def _preprocessing(said: _Images) -> Preprocessing:
    """As timm's transforms for evaluation: 1 / crop_pct as large, and of that the middle."""
    channels, rows, columns = said.input_size
    percent = 0.875 if said.crop_pct is None else said.crop_pct
    resize: tuple[int, ...] = tuple(math.floor(side / percent) for side in (rows, columns))
    squashed = said.crop_mode == "squash"
    if not squashed and rows != columns:
        raise ValueError(f"input_size: expected a square where its middle is cut out, got {rows} x {columns}")
    return made(
        channels=channels,
        size=rows,
        width=columns if columns != rows else None,
        fit="stretch" if squashed else "crop",
        resize=resize if squashed else resize[:1],
        middle="round",
        resampling=said.interpolation,
        mean=said.mean,
        deviation=said.std,
    )


def _labels(checkpoint: Checkpoint, said: TimmConfig) -> list[str]:
    """What the classes are called: by words, by names ("n01440764"), or by numbers, as far as the file says it."""
    names: Any = said.label_names or said.pretrained_cfg.label_names
    words = said.label_descriptions or said.pretrained_cfg.label_descriptions or {}
    if names is None:
        return [str(number) for number in range(said.num_classes)]
    if len(names) != said.num_classes:
        raise checkpoint.refused(f"label_names: expected {said.num_classes}, as num_classes says, got {len(names)}")
    return [words.get(name, name) for name in names]
