"""BART (Lewis et al., 2020), with those that have its layers, DistilBART among them."""

from __future__ import annotations

import os
from typing import Any, Literal

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import HiddenAct, Ids, Seq2SeqConfig
from attnkit.interop.huggingface.seq2seq import Family, convert_summarizer
from attnkit.models.config import NotNegative, Positive, Rate

OFFSET = 2
"""The first token's position, in the tables of BART and mBART."""


class BartConfig(Seq2SeqConfig, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    model_type: Literal["bart"]
    vocab_size: Positive = 50265
    activation_function: HiddenAct = "gelu"
    scale_embedding: bool = False
    attention_dropout: Rate = 0.0
    bos_token_id: NotNegative | None = 0
    eos_token_id: Ids = 2
    decoder_start_token_id: NotNegative | None = 2
    # Variants of old configurations that transformers does not run any more.
    static_position_embeddings: Literal[False] = False
    normalize_before: Literal[False] = False
    normalize_embedding: Literal[True] = True
    add_final_layer_norm: Literal[False] = False

    def options(self) -> dict[str, Any]:
        return {
            "positions": "learned",
            "position_offset": OFFSET,
            "embedding_norm": True,
            "output_bias": self.tie != "none",
        }


_FAMILY = Family("bart", "Bart", BartConfig)


def convert_bart(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """`convert_summarizer` for a checkpoint of this family."""
    return convert_summarizer(source, directory, _FAMILY)
