"""CLIP (Radford et al., 2021) as transformers keeps it: both encoders together, or one of them."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import ACTIVATIONS, CONFIG_FILE, HiddenAct, decode
from attnkit.interop.hf_weights import left_out_tensors
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.clip_bpe import clip_json
from attnkit.interop.huggingface.filling import Part, Plan, Renamed, filled_model, weight_and_bias
from attnkit.interop.huggingface.image_processor import read_image_processor
from attnkit.interop.huggingface.text_tokenizer import TextTokenizer, read_text_tokenizer
from attnkit.interop.huggingface.vit_parts import check_images, patch_weight, placed_tokens, vit_config, write_vit
from attnkit.models.clip_config import CLIPConfig
from attnkit.models.config import Layers, NotNegative, Positive, Rate
from attnkit.models.sentence_encoder_config import Projection, SentenceEncoderConfig
from attnkit.models.vit_config import ViTConfig
from attnkit.tasks.shared.directory import save_directory

TEXT, IMAGE = "text_model.", "vision_model."
"""What the names of both encoders begin with."""
_OLD_END = 2  # what files of before 2023 call the end token, wrongly: there the highest number of a text is meant
T = TypeVar("T")


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
        text=_text_config(checkpoint, text, tokenizer, both.projection_dim), image=_image_config(checkpoint, image)
    )
    preprocessing = read_image_processor(checkpoint.folder, image.num_channels, "CLIP")
    check_images(checkpoint, config.image, preprocessing)
    plan: dict[str, Part | None] = {f"text.{name}": part for name, part in _text_plan(config.text).items()}
    plan |= {f"image.{name}": part for name, part in _image_plan(config.image).items()}
    plan |= {"image.head.weight": Part(("visual_projection.weight",)), "image.head.bias": None}
    plan |= {"log_scale": Part(("logit_scale",), make=_scale)}
    model, unread = filled_model(checkpoint.tensors, config, (text.vocab_size,), plan)
    with atomic_folder(checkpoint.target) as new:
        save_directory(
            model, new, "classify", reads="images-and-texts", image=preprocessing, tokenizers=tokenizer.tokenizers
        )
    return converted_pair(checkpoint, config, model, unread)


def convert_clip_text_model(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_clip`, of the encoder of texts alone: what makes vectors of them."""
    checkpoint = Checkpoint.open(source, directory, lambda name: prefixed(name, TEXT))
    text = checkpoint.config(_Text)
    tokenizer = read_text_tokenizer(checkpoint.folder, text.vocab_size, clip_json)
    projected = checkpoint.architecture.endswith("WithProjection")
    config = _text_config(checkpoint, text, tokenizer, text.projection_dim if projected else None)
    model, unread = filled_model(checkpoint.tensors, config, (text.vocab_size,), _text_plan(config))
    with atomic_folder(checkpoint.target) as new:
        save_directory(model, new, "embed", tokenizers=tokenizer.tokenizers)
    return converted_pair(checkpoint, config, model, unread)


def convert_clip_vision_model(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_clip`, of the encoder of images alone, without what makes vectors of its states."""
    checkpoint = Checkpoint.open(source, directory, lambda name: prefixed(name, IMAGE))
    image = checkpoint.config(_Image)
    config = _image_config(checkpoint, image)
    preprocessing = read_image_processor(checkpoint.folder, image.num_channels, "CLIP")
    return write_vit(checkpoint, config, _image_plan(config), [], preprocessing)


def prefixed(name: str, prefix: str) -> str:
    """As the class of both encoders names it: that of one may leave the prefix out."""
    return name if name.startswith((prefix, "text_projection", "visual_projection")) else prefix + name


def decoded_part(checkpoint: Checkpoint, table: dict[str, Any] | None, kind: type[T], key: str) -> T:
    try:
        return decode(table or {}, kind, checkpoint.folder / CONFIG_FILE)
    except ValueError as error:
        raise ValueError(f"{error} (below {key})") from None


def converted_pair(checkpoint: Checkpoint, config: Any, model: Any, unread: list[str]) -> Converted:
    unread = [name for name in unread if not name.endswith(".position_ids")]  # 0, 1, 2, ... in older files
    tensors = checkpoint.tensors.tensors
    left_out = [*tensors.notes, *left_out_tensors(tensors, unread, "the model that is made of it")]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)


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
    try:
        return SentenceEncoderConfig(
            d_model=text.hidden_size,
            ffn=text.intermediate_size,
            heads=text.num_attention_heads,
            layers=text.num_hidden_layers,
            dropout=0.0,
            attention_dropout=text.attention_dropout,
            norm="pre",
            norm_eps=text.layer_norm_eps,
            activation=ACTIVATIONS[text.hidden_act],
            scale_embeddings=False,
            positions="learned",
            max_length=text.max_position_embeddings,
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
            causal=True,
            pooling="highest" if old else "end",
            projections=() if width is None else (Projection(width=width),),
            normalize=True,
        )
    except ValueError as error:
        raise checkpoint.refused(str(error)) from None


def _image_config(checkpoint: Checkpoint, image: _Image) -> ViTConfig:
    return vit_config(
        checkpoint,
        image_size=image.image_size,
        patch_size=image.patch_size,
        channels=image.num_channels,
        d_model=image.hidden_size,
        layers=image.num_hidden_layers,
        heads=image.num_attention_heads,
        ffn=image.intermediate_size,
        norm_eps=image.layer_norm_eps,
        activation=ACTIVATIONS[image.hidden_act],
        attention_dropout=image.attention_dropout,
        first_norm=True,
    )


def _text_plan(config: SentenceEncoderConfig) -> Plan:
    plan: dict[str, Part | None] = {
        "embedding.weight": Part((f"{TEXT}embeddings.token_embedding.weight",)),
        "embedding.positions.weight": Part((f"{TEXT}embeddings.position_embedding.weight",)),
        **weight_and_bias("encoder.last_norm", f"{TEXT}final_layer_norm"),
        **encoder_layers(TEXT, config.layers),
    }
    if config.projections:
        plan |= {"projections.0.weight": Part(("text_projection.weight",)), "projections.0.bias": None}
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


def encoder_layers(prefix: str, count: int) -> Plan:
    """Of the layers of either encoder, which SigLIP has too."""
    plan: dict[str, Part | None] = {}
    for index in range(count):
        ours, theirs = f"encoder.layers.{index}", f"{prefix}encoder.layers.{index}"
        queries, keys, values, output = (f"{theirs}.self_attn.{name}_proj" for name in ("q", "k", "v", "out"))
        plan |= {
            **weight_and_bias(f"{ours}.attention.projection", queries, keys, values),
            **weight_and_bias(f"{ours}.attention.output", output),
            **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.layer_norm1"),
            **weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.mlp.fc1"),
            **weight_and_bias(f"{ours}.feed_forward.down", f"{theirs}.mlp.fc2"),
            **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.layer_norm2"),
        }
    return plan
