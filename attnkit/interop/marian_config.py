"""What a Marian checkpoint's config.json and generation_config.json say, as configurations of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from attnkit.decoding.defaults import DecodingDefaults
from attnkit.interop.hf_config import (
    GenerationConfig,
    HiddenAct,
    Ids,
    Seq2SeqConfig,
    Tie,
    left_out_of_search,
    read_architecture,
    read_generation,
    settled,
)
from attnkit.models.config import NotNegative, Positive, Rate
from attnkit.models.transformer_config import TransformerConfig


class MarianConfig(Seq2SeqConfig, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    model_type: Literal["marian"]
    vocab_size: Positive = 58101
    decoder_vocab_size: Positive | None = None
    activation_function: HiddenAct = "gelu"
    scale_embedding: bool = False
    share_encoder_decoder_embeddings: bool = True
    attention_dropout: Rate = 0.0
    eos_token_id: Ids = 0
    decoder_start_token_id: NotNegative = 58100
    # Variants of old configurations that transformers does not run any more.
    static_position_embeddings: Literal[True] = True
    normalize_before: Literal[False] = False
    normalize_embedding: Literal[False] = False
    add_final_layer_norm: Literal[False] = False

    @property
    def tie(self) -> Tie:
        if not self.tie_word_embeddings:
            return "none"
        return "all" if self.share_encoder_decoder_embeddings else "decoder"

    @property
    def target_vocab_size(self) -> int:
        if self.share_encoder_decoder_embeddings:
            return self.vocab_size
        return self.decoder_vocab_size or self.vocab_size

    def options(self) -> dict[str, Any]:
        return {"output_bias": self.tie != "none"}


class Configs(NamedTuple):
    """What both files say. left_out: a line for each setting of the search that attnkit does not follow."""

    marian: MarianConfig
    transformer: TransformerConfig
    defaults: DecodingDefaults
    left_out: list[str]


def read_configs(folder: Path) -> Configs:
    """Both configurations of a checkpoint.

    Checkpoints from before generation_config.json have its settings in config.json. Raises FileNotFoundError, or
    ValueError that names the file and the key.
    """
    table, marian = read_architecture(folder, "marian", "MarianMTModel", MarianConfig)
    file, table, generation = read_generation(folder, table, GenerationConfig)
    transformer, defaults = settled(marian, generation, file)
    return Configs(marian, transformer, defaults, left_out_of_search(table, file))
