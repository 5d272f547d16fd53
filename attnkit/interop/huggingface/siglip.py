"""SigLIP (Zhai et al., 2023) as transformers keeps it: both encoders together, or one of them.

Texts are filled up to the model's length, and the fillings take part; images have no class token, but a probe that
looks at all patches. A label's probability is its own, by a sigmoid.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import HiddenAct
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.clip_parts import (
    IMAGE,
    TEXT,
    decoded_part,
    encoder_layers,
    image_config,
    prefixed,
    text_config,
    text_plan,
    write_pair,
    write_text_encoder,
)
from attnkit.interop.huggingface.filling import Part, Plan, Renamed, weight_and_bias
from attnkit.interop.huggingface.image_processor import read_image_processor
from attnkit.interop.huggingface.siglip_tokenizer import siglip_json
from attnkit.interop.huggingface.spiece import SPIECE_FILE
from attnkit.interop.huggingface.text_tokenizer import TextTokenizer, read_text_tokenizer
from attnkit.interop.huggingface.vit_parts import check_images, patch_weight, placed_tokens, write_vit
from attnkit.models.clip_config import CLIPConfig
from attnkit.models.config import Layers, Positive, Rate
from attnkit.models.sentence_encoder_config import Projection, SentenceEncoderConfig
from attnkit.models.vit_config import ViTConfig


class _Encoder(msgspec.Struct, frozen=True, kw_only=True):
    """What both encoders say. A file may leave out what has the default of Hugging Face transformers, given here."""

    hidden_size: Positive = 768
    intermediate_size: Positive = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Positive = 12
    hidden_act: HiddenAct = "gelu_pytorch_tanh"
    layer_norm_eps: float = 1e-6
    attention_dropout: Rate = 0.0


class _Text(_Encoder, frozen=True, kw_only=True):
    vocab_size: Positive = 32000
    max_position_embeddings: Positive = 64
    projection_size: Positive | None = None


class _Image(_Encoder, frozen=True, kw_only=True):
    image_size: Positive = 224
    patch_size: Positive = 16
    num_channels: Positive = 3
    vision_use_head: bool = True


class _Both(msgspec.Struct, frozen=True, kw_only=True):
    text_config: dict[str, Any] | None = None
    vision_config: dict[str, Any] | None = None


def convert_siglip(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all: a
    classifier of images whose classes are texts.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory)
    if checkpoint.architecture not in ("", "SiglipModel"):
        raise checkpoint.refused(f"expected both encoders of SigLIP, got {checkpoint.architecture!r}")
    both = checkpoint.config(_Both)
    text = decoded_part(checkpoint, both.text_config, _Text, "text_config")
    image = decoded_part(checkpoint, both.vision_config, _Image, "vision_config")
    if not image.vision_use_head:
        raise checkpoint.refused("vision_use_head: expected true, without which images have no vectors, got false")
    tokenizer = _tokenizer(checkpoint, text)
    try:
        config = CLIPConfig(
            text=_text_config(checkpoint, text, tokenizer),
            image=_image_config(checkpoint, image),
            image_head=False,
            probability="sigmoid",
        )
    except ValueError as error:
        raise error if str(error).startswith("[convert]") else checkpoint.refused(str(error)) from None
    preprocessing = read_image_processor(checkpoint.folder, image.num_channels, "Siglip")
    check_images(checkpoint, config.image, preprocessing)
    beside: Plan = {"log_scale": _number("logit_scale"), "bias": _number("logit_bias")}
    plans = _text_plan(config.text), _image_plan(config.image), beside
    return write_pair(checkpoint, config, plans, tokenizer, preprocessing, text.vocab_size)


def convert_siglip_text_model(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_siglip`, of the encoder of texts alone: what makes vectors of them."""
    checkpoint = Checkpoint.open(source, directory, lambda name: prefixed(name, TEXT))
    text = checkpoint.config(_Text)
    tokenizer = _tokenizer(checkpoint, text)
    config = _text_config(checkpoint, text, tokenizer)
    return write_text_encoder(checkpoint, config, _text_plan(config), tokenizer, text.vocab_size)


def convert_siglip_vision_model(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_siglip`, of the encoder of images alone."""
    checkpoint = Checkpoint.open(source, directory, lambda name: prefixed(name, IMAGE))
    image = checkpoint.config(_Image)
    config = _image_config(checkpoint, image)
    preprocessing = read_image_processor(checkpoint.folder, image.num_channels, "Siglip")
    return write_vit(checkpoint, config, _image_plan(config), [], preprocessing)


def _tokenizer(checkpoint: Checkpoint, text: _Text) -> TextTokenizer:
    """Of spiece.model where it is there, as transformers reads it, or else of tokenizer.json."""
    made = siglip_json if (checkpoint.folder / SPIECE_FILE).is_file() else None
    return read_text_tokenizer(checkpoint.folder, text.vocab_size, first=made)


def _text_config(checkpoint: Checkpoint, text: _Text, tokenizer: TextTokenizer) -> SentenceEncoderConfig:
    if tokenizer.pad_id is None:
        raise ValueError(
            f"[convert] {checkpoint.folder}: expected a pad_token in tokenizer_config.json or special_tokens_map.json, "
            "by which texts are filled up, got none"
        )
    projections = (Projection(width=text.projection_size or text.hidden_size),)
    return text_config(checkpoint, text, tokenizer, fill_id=tokenizer.pad_id, pooling="last", projections=projections)


def _image_config(checkpoint: Checkpoint, image: _Image) -> ViTConfig:
    return image_config(checkpoint, image, pooling="probe" if image.vision_use_head else "mean")


def _text_plan(config: SentenceEncoderConfig) -> Plan:
    return {**text_plan(config), **weight_and_bias("projections.0", f"{TEXT}head")}


def _image_plan(config: ViTConfig) -> Plan:
    embeddings = f"{IMAGE}embeddings"
    plan: dict[str, Part | None] = {
        **placed_tokens([], f"{embeddings}.position_embedding.weight", config, flat=True),
        "patches.projection.weight": patch_weight(f"{embeddings}.patch_embedding.weight", config),
        "patches.projection.bias": Part((f"{embeddings}.patch_embedding.bias",)),
        **weight_and_bias("encoder.last_norm", f"{IMAGE}post_layernorm"),
        **encoder_layers(IMAGE, config.sizes[1]),
    }
    return {**plan, **_probe_plan(config.sizes[0])} if config.pooling == "probe" else plan


def _probe_plan(width: int) -> Plan:
    """Its attention keeps the matrices of queries, keys and values in one, as PyTorch does."""
    head = f"{IMAGE}head"

    def rows(kind: str, begin: int, end: int) -> Part:
        name = f"{head}.attention.in_proj_{kind}"

        def make(tensors: Renamed, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
            return np.ascontiguousarray(tensors.read(name, (3 * width, *shape[1:]))[begin:end])

        return Part((name,), make=make)

    def probe(tensors: Renamed, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        return tensors.read(f"{head}.probe", (1, *shape)).reshape(shape)

    ours = "probe_pooling"
    return {
        f"{ours}.probe": Part((f"{head}.probe",), make=probe),
        **{f"{ours}.attention.query.{kind}": rows(kind, 0, width) for kind in ("weight", "bias")},
        **{f"{ours}.attention.key_value.{kind}": rows(kind, width, 3 * width) for kind in ("weight", "bias")},
        **weight_and_bias(f"{ours}.attention.output", f"{head}.attention.out_proj"),
        **weight_and_bias(f"{ours}.norm", f"{head}.layernorm"),
        **weight_and_bias(f"{ours}.feed_forward.up", f"{head}.mlp.fc1"),
        **weight_and_bias(f"{ours}.feed_forward.down", f"{head}.mlp.fc2"),
    }


def _number(name: str) -> Part:
    """A vector of one, or a number in some files."""

    def make(tensors: Renamed, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        return tensors.read(name, () if tensors.shape(name) == () else shape).reshape(shape)

    return Part((name,), make=make)
