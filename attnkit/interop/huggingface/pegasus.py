"""Pegasus (Zhang et al., 2020), which was trained to write the sentences that were taken out of a text."""

from __future__ import annotations

import os
from typing import Any, Literal

from attnkit.interop.converted import Converted
from attnkit.interop.hf_config import HiddenAct, Ids, Seq2SeqConfig
from attnkit.interop.huggingface.seq2seq import Family, convert_summarizer
from attnkit.models.config import NotNegative, Positive, Rate


class PegasusConfig(Seq2SeqConfig, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    model_type: Literal["pegasus"]
    vocab_size: Positive = 50265
    activation_function: HiddenAct = "gelu"
    scale_embedding: bool = False
    attention_dropout: Rate = 0.0
    eos_token_id: Ids = 1
    decoder_start_token_id: NotNegative | None = 0
    # Variants of old configurations that transformers does not run any more.
    static_position_embeddings: Literal[True] = True
    normalize_before: Literal[True] = True
    normalize_embedding: Literal[False] = False
    add_final_layer_norm: Literal[True] = True

    def options(self) -> dict[str, Any]:
        return {"norm": "pre", "output_bias": self.tie != "none"}


_FAMILY = Family("pegasus", "Pegasus", PegasusConfig)


def convert_pegasus(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """`convert_summarizer` for a checkpoint of this family."""
    return convert_summarizer(source, directory, _FAMILY)
