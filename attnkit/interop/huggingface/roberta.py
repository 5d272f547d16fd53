"""RoBERTa (Liu et al., 2019), with those that have its layers and its head: XLM-RoBERTa, CamemBERT."""

from __future__ import annotations

import os

from attnkit.interop.converted import Converted
from attnkit.interop.huggingface.bert import BertConfig, bert_stack
from attnkit.interop.huggingface.checkpoint import Checkpoint
from attnkit.interop.huggingface.encoders import ClassifierHead, EncoderFamily, MaskedHead, convert_encoder, renamed
from attnkit.models.config import NotNegative, Positive

# Its head's activation is not a setting.
HEADS = EncoderFamily(
    MaskedHead("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"),
    ClassifierHead("classifier.dense", "classifier.out_proj"),
)


class RobertaConfig(BertConfig, frozen=True, kw_only=True):
    """What differs from BERT: positions count from behind the number of the padding token."""

    vocab_size: Positive = 50265
    pad_token_id: NotNegative = 1


def convert_roberta(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """As `convert_bert`."""
    checkpoint = Checkpoint.open(source, directory, renamed(("roberta.",)))
    config = checkpoint.config(RobertaConfig)
    return convert_encoder(checkpoint, bert_stack(config, config.pad_token_id + 1), HEADS)
