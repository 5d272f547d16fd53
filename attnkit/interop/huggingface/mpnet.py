"""MPNet (Song et al., 2020): BERT's layers, with a bias of relative positions that all of them share."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from attnkit.interop.converted import Converted
from attnkit.interop.huggingface.bert import BertConfig, bert_stack
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.encoders import Stack, convert_encoder, renamed
from attnkit.interop.huggingface.filling import Part, Plan, weight_and_bias
from attnkit.interop.huggingface.roberta import HEADS
from attnkit.models.config import NotNegative, Positive

_MAX_DISTANCE = 128  # of the last bucket; not a setting


class MPNetConfig(BertConfig, frozen=True, kw_only=True):
    """What differs from BERT."""

    vocab_size: Positive = 30527
    type_vocab_size: NotNegative = 0
    pad_token_id: NotNegative = 1
    relative_attention_num_buckets: Annotated[int, Meta(ge=4, le=2**16)] = 32


def convert_mpnet(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_bert`."""
    checkpoint = Checkpoint.open(source, directory, renamed(("mpnet.",)))
    return convert_encoder(checkpoint, _stack(checkpoint.config(MPNetConfig)), HEADS)


def _stack(config: MPNetConfig) -> Stack:
    keys, vocab_size, plan = bert_stack(config, config.pad_token_id + 1, _layer)
    relative = {"relative_buckets": config.relative_attention_num_buckets, "relative_distance": _MAX_DISTANCE}
    bias = {"encoder.position_bias.weight": Part(("encoder.relative_attention_bias.weight",))}
    return Stack({**keys, **relative, "token_types": 0}, vocab_size, {**plan, **bias})


def _layer(ours: str, theirs: str) -> Plan:
    itself = f"{theirs}.attention.attn"
    return {
        **weight_and_bias(f"{ours}.attention.projection", f"{itself}.q", f"{itself}.k", f"{itself}.v"),
        **weight_and_bias(f"{ours}.attention.output", f"{itself}.o"),
        **weight_and_bias(f"{ours}.attention_norm", f"{theirs}.attention.LayerNorm"),
        **weight_and_bias(f"{ours}.feed_forward.up", f"{theirs}.intermediate.dense"),
        **weight_and_bias(f"{ours}.feed_forward.down", f"{theirs}.output.dense"),
        **weight_and_bias(f"{ours}.feed_forward_norm", f"{theirs}.output.LayerNorm"),
    }
