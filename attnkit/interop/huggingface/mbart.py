"""mBART (Liu et al., 2020) and mBART-50 (Tang et al., 2020): BART with norms before its layers, for many languages."""

from __future__ import annotations

import os
from typing import Any, Literal

from attnkit.interop.converted import Converted, checked_folders
from attnkit.interop.hf_config import CONFIG_FILE, HiddenAct, Ids, Seq2SeqConfig, read_table, task_params
from attnkit.interop.huggingface.bart import OFFSET
from attnkit.interop.huggingface.mbart_tokenizers import MBartSettings, read_mbart_tokenizers
from attnkit.interop.huggingface.seq2seq import SUMMARIZATION, Family, convert_summarizer, read_settings, write_seq2seq
from attnkit.models.config import NotNegative, Positive, Rate


class MBartConfig(Seq2SeqConfig, frozen=True, kw_only=True):
    """The architecture. A file may leave out what has the default of Hugging Face transformers, which is given here."""

    model_type: Literal["mbart"]
    vocab_size: Positive = 50265
    activation_function: HiddenAct = "gelu"
    scale_embedding: bool = False
    attention_dropout: Rate = 0.0
    pad_token_id: NotNegative = 1
    bos_token_id: NotNegative | None = 0
    eos_token_id: Ids = 2
    decoder_start_token_id: NotNegative | None = None
    # Variants of old configurations that transformers does not run any more.
    static_position_embeddings: Literal[False] = False
    normalize_before: Literal[True] = True
    normalize_embedding: Literal[True] = True
    add_final_layer_norm: Literal[True] = True

    def options(self) -> dict[str, Any]:
        return {
            "norm": "pre",
            "positions": "learned",
            "position_offset": OFFSET,
            "embedding_norm": True,
            "output_bias": self.tie != "none",
        }


_FAMILY = Family("mbart", "MBart", MBartConfig)


def convert_mbart(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """A translator, of one direction where the decoder starts with the token of a language (mBART), of every pair of
    languages where that token follows the start (mBART-50); a summarizer where config.json says so and of no
    translation. Raises what `convert_summarizer` raises."""
    folder, target = checked_folders(source, directory)
    table = read_table(folder / CONFIG_FILE)
    tasks = task_params(folder, table)
    if SUMMARIZATION in tasks and not any(task.startswith("translation") for task in tasks):
        return convert_summarizer(source, directory, _FAMILY)
    settings = read_settings(folder, _FAMILY)
    languages = MBartSettings.read(folder, table)
    if languages.many:
        settings = read_settings(folder, _FAMILY, language=True)
    start, forced = settings.ours.bos_id, settings.generation.forced_bos_token_id
    tokenizers = read_mbart_tokenizers(folder, settings.theirs.vocab_size, languages, start, forced)
    return write_seq2seq(folder, target, settings, tokenizers, "translate")
