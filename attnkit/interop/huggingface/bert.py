"""BERT (Devlin et al., 2019), with those that have its layers: MiniLM, e5, bge, gte and others."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

import msgspec

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import ACTIVATIONS, HiddenAct
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.encoders import (
    ClassifierHead,
    EncoderFamily,
    MaskedHead,
    Stack,
    convert_encoder,
    renamed,
)
from attnkit.interop.huggingface.filling import Part, Plan, weight_and_bias
from attnkit.models.config import Layers, Positive, Rate


class BertConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    vocab_size: Positive = 30522
    hidden_size: Positive = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Positive = 12
    intermediate_size: Positive = 3072
    hidden_act: HiddenAct = "gelu"
    hidden_dropout_prob: Rate = 0.1
    attention_probs_dropout_prob: Rate = 0.1
    max_position_embeddings: Positive = 512
    type_vocab_size: Positive = 2
    layer_norm_eps: float = 1e-12
    position_embedding_type: Literal["absolute"] = "absolute"
    is_decoder: Literal[False] = False


def convert_bert(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    checkpoint = Checkpoint.open(source, directory, renamed(("bert.",)))
    config = checkpoint.config(BertConfig)
    predictions = "cls.predictions"
    masked = MaskedHead(
        f"{predictions}.transform.dense",
        f"{predictions}.transform.LayerNorm",
        f"{predictions}.decoder",
        f"{predictions}.bias",
        ACTIVATIONS[config.hidden_act],
    )
    family = EncoderFamily(masked, ClassifierHead("pooler.dense", "classifier"), ("ForPreTraining", "LMHeadModel"))
    return convert_encoder(checkpoint, bert_stack(config), family)


def bert_layer(ours: str, theirs: str) -> Plan:
    """A layer with the names that BERT gives its parts."""
    itself = f"{theirs}.attention.self"
    return {
        **weight_and_bias(f"{ours}.attention.projection", f"{itself}.query", f"{itself}.key", f"{itself}.value"),
        **weight_and_bias(f"{ours}.attention.output", f"{theirs}.attention.output.dense"),
        **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.attention.output.LayerNorm"),
        **weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.intermediate.dense"),
        **weight_and_bias(f"{ours}.feed_forward.down", f"{theirs}.output.dense"),
        **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.output.LayerNorm"),
    }


def bert_stack(config: BertConfig, offset: int = 0, layer: Callable[[str, str], Plan] = bert_layer) -> Stack:
    """Embeddings and layers, which several families share. offset: the first token's position. layer: of our name of a
    layer and theirs, the plan of its parts."""
    c = config
    keys = dict(
        d_model=c.hidden_size,
        ffn=c.intermediate_size,
        heads=c.num_attention_heads,
        layers=c.num_hidden_layers,
        dropout=c.hidden_dropout_prob,
        attention_dropout=c.attention_probs_dropout_prob,
        activation_dropout=0.0,
        norm="post",
        norm_eps=c.layer_norm_eps,
        activation=ACTIVATIONS[c.hidden_act],
        scale_embeddings=False,
        embedding_norm=True,
        token_types=c.type_vocab_size,
        positions="learned",
        position_offset=offset,
        max_length=c.max_position_embeddings - offset,
    )
    plan: dict[str, Part | None] = {
        "embedding.weight": Part(("embeddings.word_embeddings.weight",)),
        "embedding.positions.weight": Part(("embeddings.position_embeddings.weight",)),
        "embedding.token_type_weight": Part(("embeddings.token_type_embeddings.weight",)),
        **weight_and_bias("embedding.norm", "embeddings.LayerNorm"),
    }
    for index in range(c.num_hidden_layers):
        plan |= layer(f"encoder.layers.{index}", f"encoder.layer.{index}")
    return Stack(keys, c.vocab_size, plan)
