"""ELECTRA (Clark et al., 2020): its discriminator as an encoder or a classifier, its generator as a masked language
model."""

from __future__ import annotations

import os

from attnkit.interop.converted import Converted
from attnkit.interop.huggingface.bert import BertConfig, bert_stack
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.encoders import ClassifierHead, EncoderFamily, MaskedHead, convert_encoder, renamed
from attnkit.interop.huggingface.filling import weight_and_bias
from attnkit.models.config import Positive

# The discriminator's own head says of each token whether it was replaced, for which attnkit has no task.
_HEADS = EncoderFamily(
    MaskedHead(
        "generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head", "generator_lm_head.bias"
    ),
    ClassifierHead("classifier.dense", "classifier.out_proj", "gelu"),
    also_encoders=("ForPreTraining",),
)


class ElectraConfig(BertConfig, frozen=True, kw_only=True):
    """What differs from BERT: embeddings may have a width of their own."""

    embedding_size: Positive = 128
    hidden_size: Positive = 256
    num_attention_heads: Positive = 4
    intermediate_size: Positive = 1024


def convert_electra(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_bert`."""
    checkpoint = Checkpoint.open(source, directory, renamed(("electra.",)))
    config = checkpoint.config(ElectraConfig)
    stack = bert_stack(config)
    if config.embedding_size != config.hidden_size:
        keys = stack.keys | {"embedding_width": config.embedding_size}
        stack = stack._replace(
            keys=keys, plan={**stack.plan, **weight_and_bias("embedding.projection", "embeddings_project")}
        )
    return convert_encoder(checkpoint, stack, _HEADS)
