"""BLIP (Li et al., 2022) that describes images: a ViT, and BERT's layers with a cross-attention in each."""

from __future__ import annotations

import os
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import ACTIVATIONS, HiddenAct
from attnkit.interop.huggingface.bert import bert_layer
from attnkit.interop.huggingface.captioners import Decoder, Ends, is_tied, made_config, read_part, write_captioner
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.filling import Part, Plan, weight_and_bias
from attnkit.interop.huggingface.vit_parts import patch_weight, placed_tokens, vit_config
from attnkit.models.config import Layers, NotNegative, Positive, Rate
from attnkit.models.vit_config import ViTConfig

_ARCHITECTURE = "BlipForConditionalGeneration"
_VISION, _TEXT = "vision_model", "text_decoder.bert"
_HEAD, _OUTPUT = "text_decoder.cls.predictions", "text_decoder.cls.predictions.decoder.weight"


class BlipVisionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What looks at images. A file may leave out what has the default of Hugging Face transformers, given here."""

    hidden_size: Positive = 768
    intermediate_size: Positive = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Positive = 12
    image_size: Positive = 384
    patch_size: Positive = 16
    hidden_act: HiddenAct = "gelu"
    layer_norm_eps: float = 1e-5
    attention_dropout: Rate = 0.0


class BlipTextConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What writes, with the defaults of Hugging Face transformers."""

    vocab_size: Positive = 30524
    hidden_size: Positive = 768
    intermediate_size: Positive = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Positive = 8
    max_position_embeddings: Annotated[int, Meta(ge=3, le=2**24)] = 512
    hidden_act: HiddenAct = "gelu"
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: Rate = 0.0
    attention_probs_dropout_prob: Rate = 0.0
    bos_token_id: NotNegative = 30522
    sep_token_id: NotNegative = 102


def convert_blip(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind, such as BLIP that answers questions.
    """
    checkpoint = Checkpoint.open(source, directory)
    if checkpoint.architecture not in ("", _ARCHITECTURE):
        raise checkpoint.refused(f"expected the architecture {_ARCHITECTURE}, got {checkpoint.architecture!r}")
    text = read_part(checkpoint, "text_config").config(BlipTextConfig)
    vision = read_part(checkpoint, "vision_config")
    encoder = _encoder(vision)
    decoder = _decoder(checkpoint, text)
    config = made_config(checkpoint, encoder, decoder, Ends(text.bos_token_id, text.sep_token_id))
    return write_captioner(checkpoint, config, text.vocab_size, {**_vision_plan(encoder), **decoder.plan}, "Blip")


def _encoder(checkpoint: Checkpoint) -> ViTConfig:
    c = checkpoint.config(BlipVisionConfig)
    return vit_config(
        checkpoint,
        image_size=c.image_size,
        patch_size=c.patch_size,
        d_model=c.hidden_size,
        layers=c.num_hidden_layers,
        heads=c.num_attention_heads,
        ffn=c.intermediate_size,
        norm_eps=c.layer_norm_eps,
        activation=ACTIVATIONS[c.hidden_act],
        attention_dropout=c.attention_dropout,
    )


def _vision_plan(config: ViTConfig) -> Plan:
    places = f"{_VISION}.embeddings"
    plan: dict[str, Part | None] = {
        **placed_tokens([f"{places}.class_embedding"], f"{places}.position_embedding", config),
        "patches.projection.weight": patch_weight(f"{places}.patch_embedding.weight", config),
        "patches.projection.bias": Part((f"{places}.patch_embedding.bias",)),
        **weight_and_bias("encoder.last_norm", f"{_VISION}.post_layernorm"),
    }
    for index in range(config.sizes[1]):
        ours, theirs = f"encoder.layers.{index}", f"{_VISION}.encoder.layers.{index}"
        plan |= weight_and_bias(f"{ours}.attention.projection", f"{theirs}.self_attn.qkv")
        plan |= weight_and_bias(f"{ours}.attention.output", f"{theirs}.self_attn.projection")
        plan |= weight_and_bias(f"{ours}.attention_norm", f"{theirs}.layer_norm1")
        plan |= weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.mlp.fc1")
        plan |= weight_and_bias(f"{ours}.feed_forward.down", f"{theirs}.mlp.fc2")
        plan |= weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.layer_norm2")
    return {f"encoder.{name}": part for name, part in plan.items()}


def _decoder(checkpoint: Checkpoint, c: BlipTextConfig) -> Decoder:
    embedding = f"{_TEXT}.embeddings.word_embeddings.weight"
    tied = is_tied(checkpoint, _OUTPUT, embedding, (c.vocab_size, c.hidden_size))
    keys: dict[str, Any] = dict(
        layers=c.num_hidden_layers,
        width=c.hidden_size,
        heads=c.num_attention_heads,
        ffn=c.intermediate_size,
        norm="post",
        norm_eps=c.layer_norm_eps,
        activation=ACTIVATIONS[c.hidden_act],
        dropout=c.hidden_dropout_prob,
        attention_dropout=c.attention_probs_dropout_prob,
        activation_dropout=0.0,
        scale_embeddings=False,
        embedding_norm=True,
        tie_embeddings=tied,
        transform=ACTIVATIONS[c.hidden_act],
        max_length=c.max_position_embeddings,
    )
    plan: dict[str, Part | None] = {
        "decoder.embedding.weight": Part((embedding,)),
        "decoder.embedding.positions.weight": Part((f"{_TEXT}.embeddings.position_embeddings.weight",)),
        **weight_and_bias("decoder.embedding.norm", f"{_TEXT}.embeddings.LayerNorm"),
        **weight_and_bias("decoder.transform", f"{_HEAD}.transform.dense"),
        **weight_and_bias("decoder.transform_norm", f"{_HEAD}.transform.LayerNorm"),
        "output.weight": Part((_OUTPUT,)),
        "output.bias": Part((f"{_HEAD}.bias",)),
    }
    for index in range(c.num_hidden_layers):
        plan |= _text_layer(f"decoder.decoder.layers.{index}", f"{_TEXT}.encoder.layer.{index}")
    return Decoder(keys, c.vocab_size, plan)


def _text_layer(ours: str, theirs: str) -> Plan:
    cross = f"{theirs}.crossattention"
    return {
        **{name.replace(".attention", ".self_attention"): part for name, part in bert_layer(ours, theirs).items()},
        **weight_and_bias(f"{ours}.cross_attention.query", f"{cross}.self.query"),
        **weight_and_bias(f"{ours}.cross_attention.key_value", f"{cross}.self.key", f"{cross}.self.value"),
        **weight_and_bias(f"{ours}.cross_attention.output", f"{cross}.output.dense"),
        **weight_and_bias(f"{ours}.cross_attention_norm", f"{cross}.output.LayerNorm"),
    }
