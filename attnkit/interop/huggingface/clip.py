"""CLIP (Radford et al., 2021) as transformers keeps it: both encoders together, or one of them."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import HiddenAct
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.clip_bpe import clip_json
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
from attnkit.interop.huggingface.text_tokenizer import TextTokenizer, read_text_tokenizer
from attnkit.interop.huggingface.vit_parts import check_images, patch_weight, placed_tokens, write_vit
from attnkit.models.clip_config import CLIPConfig
from attnkit.models.config import Layers, NotNegative, Positive, Rate
from attnkit.models.sentence_encoder_config import Projection, SentenceEncoderConfig
from attnkit.models.vit_config import ViTConfig

_OLD_END = 2  # what files of before 2023 call the end token, wrongly: there the highest number of a text is meant


class _Encoder(msgspec.Struct, frozen=True, kw_only=True):
    """What both encoders say. A file may leave out what has the default of Hugging Face transformers, given here."""

    num_hidden_layers: Layers = 12
    hidden_act: HiddenAct = "quick_gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: Rate = 0.0
    projection_dim: Positive = 512


class _Text(_Encoder, frozen=True, kw_only=True):
    hidden_size: Positive = 512
    intermediate_size: Positive = 2048
    num_attention_heads: Positive = 8
    vocab_size: Positive = 49408
    max_position_embeddings: Positive = 77
    eos_token_id: NotNegative = 49407


class _Image(_Encoder, frozen=True, kw_only=True):
    hidden_size: Positive = 768
    intermediate_size: Positive = 3072
    num_attention_heads: Positive = 12
    image_size: Positive = 224
    patch_size: Positive = 32
    num_channels: Positive = 3


class _Both(msgspec.Struct, frozen=True, kw_only=True):
    text_config: dict[str, Any] | None = None
    text_config_dict: dict[str, Any] | None = None
    vision_config: dict[str, Any] | None = None
    vision_config_dict: dict[str, Any] | None = None
    projection_dim: Positive = 512


def convert_clip(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all: a
    classifier of images whose classes are texts.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory)
    if checkpoint.architecture not in ("", "CLIPModel"):
        raise checkpoint.refused(f"expected both encoders of CLIP, got {checkpoint.architecture!r}")
    both = checkpoint.config(_Both)
    # Where a file has both tables of an encoder, the second one counts.
    text = decoded_part(checkpoint, both.text_config_dict or both.text_config, _Text, "text_config")
    image = decoded_part(checkpoint, both.vision_config_dict or both.vision_config, _Image, "vision_config")
    tokenizer = read_text_tokenizer(checkpoint.folder, text.vocab_size, clip_json)
    config = CLIPConfig(
        text=_text_config(checkpoint, text, tokenizer, both.projection_dim),
        image=image_config(checkpoint, image, first_norm=True),
    )
    preprocessing = read_image_processor(checkpoint.folder, image.num_channels, "CLIP")
    check_images(checkpoint, config.image, preprocessing)
    beside: Plan = {
        "image.head.weight": Part(("visual_projection.weight",)),
        "image.head.bias": None,
        "log_scale": Part(("logit_scale",), make=_scale),
    }
    plans = _text_plan(config.text), _image_plan(config.image), beside
    return write_pair(checkpoint, config, plans, tokenizer, preprocessing, text.vocab_size)


def convert_clip_text_model(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_clip`, of the encoder of texts alone: what makes vectors of them."""
    checkpoint = Checkpoint.open(source, directory, lambda name: prefixed(name, TEXT))
    text = checkpoint.config(_Text)
    tokenizer = read_text_tokenizer(checkpoint.folder, text.vocab_size, clip_json)
    projected = checkpoint.architecture.endswith("WithProjection")
    config = _text_config(checkpoint, text, tokenizer, text.projection_dim if projected else None)
    return write_text_encoder(checkpoint, config, _text_plan(config), tokenizer, text.vocab_size)


def convert_clip_vision_model(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_clip`, of the encoder of images alone, without what makes vectors of its states."""
    checkpoint = Checkpoint.open(source, directory, lambda name: prefixed(name, IMAGE))
    image = checkpoint.config(_Image)
    config = image_config(checkpoint, image, first_norm=True)
    preprocessing = read_image_processor(checkpoint.folder, image.num_channels, "CLIP")
    return write_vit(checkpoint, config, _image_plan(config), [], preprocessing)


def _scale(tensors: Renamed, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A number there, a vector of one here."""
    return tensors.read("logit_scale", ()).reshape(shape)


def _text_config(
    checkpoint: Checkpoint, text: _Text, tokenizer: TextTokenizer, width: int | None
) -> SentenceEncoderConfig:
    """width: of the projection behind it; None where there is none."""
    old = text.eos_token_id == _OLD_END
    if not old and text.eos_token_id != tokenizer.eos_id:
        raise checkpoint.refused(
            f"eos_token_id: expected {tokenizer.eos_id}, which the tokenizer puts behind a text, got "
            f"{text.eos_token_id}"
        )
    pooling = "highest" if old else "end"
    projections = () if width is None else (Projection(width=width),)
    return text_config(checkpoint, text, tokenizer, causal=True, pooling=pooling, projections=projections)


def _text_plan(config: SentenceEncoderConfig) -> Plan:
    plan = text_plan(config)
    if config.projections:
        plan = {**plan, "projections.0.weight": Part(("text_projection.weight",)), "projections.0.bias": None}
    return plan


def _image_plan(config: ViTConfig) -> Plan:
    embeddings = f"{IMAGE}embeddings"
    return {
        **placed_tokens(
            [f"{embeddings}.class_embedding"], f"{embeddings}.position_embedding.weight", config, flat=True
        ),
        "patches.projection.weight": patch_weight(f"{embeddings}.patch_embedding.weight", config),
        "patches.projection.bias": None,
        **weight_and_bias("first_norm", f"{IMAGE}pre_layrnorm"),
        # There it is for the class token's state alone, and that is the only one that is used.
        **weight_and_bias("encoder.last_norm", f"{IMAGE}post_layernorm"),
        **encoder_layers(IMAGE, config.sizes[1]),
    }
