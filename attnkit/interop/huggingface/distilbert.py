"""DistilBERT (Sanh et al., 2019): BERT's layers under other names, without token types and without a pooler."""

from __future__ import annotations

import os

import msgspec

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import ACTIVATIONS, HiddenAct
from attnkit.interop.huggingface.bert import BertConfig, bert_stack
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.encoders import (
    ClassifierHead,
    EncoderFamily,
    MaskedHead,
    Stack,
    convert_encoder,
    renamed,
)
from attnkit.interop.huggingface.filling import Plan, weight_and_bias
from attnkit.models.config import Layers, Positive, Rate


class DistilBertConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    vocab_size: Positive = 30522
    dim: Positive = 768
    n_layers: Layers = 6
    n_heads: Positive = 12
    hidden_dim: Positive = 3072
    activation: HiddenAct = "gelu"
    dropout: Rate = 0.1
    attention_dropout: Rate = 0.1
    max_position_embeddings: Positive = 512

    @property
    def as_bert(self) -> BertConfig:
        """The same architecture in BERT's words."""
        return BertConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.dim,
            num_hidden_layers=self.n_layers,
            num_attention_heads=self.n_heads,
            intermediate_size=self.hidden_dim,
            hidden_act=self.activation,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.attention_dropout,
            max_position_embeddings=self.max_position_embeddings,
            type_vocab_size=0,
        )


def convert_distilbert(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_bert`."""
    checkpoint = Checkpoint.open(source, directory, renamed(("distilbert.",)))
    config = checkpoint.config(DistilBertConfig)
    masked = MaskedHead(
        "vocab_transform",
        "vocab_layer_norm",
        "vocab_projector",
        "vocab_projector.bias",
        ACTIVATIONS[config.activation],
    )
    family = EncoderFamily(masked, ClassifierHead("pre_classifier", "classifier", "relu"))
    return convert_encoder(checkpoint, _stack(config), family)


def _stack(config: DistilBertConfig) -> Stack:
    return bert_stack(config.as_bert, layer=_layer)


def _layer(ours: str, theirs: str) -> Plan:
    theirs = f"transformer.{theirs.removeprefix('encoder.')}"
    attention = f"{theirs}.attention"
    parts = (f"{attention}.q_lin", f"{attention}.k_lin", f"{attention}.v_lin")
    return {
        **weight_and_bias(f"{ours}.attention.projection", *parts),
        **weight_and_bias(f"{ours}.attention.output", f"{attention}.out_lin"),
        **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.sa_layer_norm"),
        **weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.ffn.lin1"),
        **weight_and_bias(f"{ours}.feed_forward.down", f"{theirs}.ffn.lin2"),
        **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.output_layer_norm"),
    }
