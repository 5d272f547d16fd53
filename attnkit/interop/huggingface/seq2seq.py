"""What encoder-decoders that summarise have in common: their configuration, their search, and what is written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from attnkit.decoding.defaults import DecodingDefaults
from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted, checked_folders
from attnkit.interop.hf_config import (
    CONFIG_FILE,
    GenerationConfig,
    Seq2SeqConfig,
    left_out_of_search,
    read_architecture,
    read_generation,
    settled,
)
from attnkit.interop.hf_weights import check_positions, left_out_tensors, load_seq2seq
from attnkit.interop.huggingface.text_tokenizer import read_text_tokenizer
from attnkit.interop.tensors import Tensors
from attnkit.models.transformer_config import TransformerConfig
from attnkit.tasks.shared.directory import save_directory
from attnkit.text.tokenizers.pair import TokenizerPair

SUMMARIZE, SUMMARIZATION = "summarize", "summarization"
"""The task, as it is called here and there."""

_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")


class Family(NamedTuple):
    """model_type: of config.json. prefix: of its classes' names. config: its architecture."""

    model_type: str
    prefix: str
    config: type[Seq2SeqConfig]


class Settings(NamedTuple):
    """What both files say. theirs: the architecture as it stands there, ours as a model's configuration. left_out: a
    line for each setting of the search that attnkit does not follow."""

    theirs: Seq2SeqConfig
    ours: TransformerConfig
    generation: GenerationConfig
    defaults: DecodingDefaults
    left_out: list[str]


class _OldGeneration(msgspec.Struct, frozen=True):
    """What configurations before 2021 call forced_bos_token_id."""

    force_bos_token_to_be_generated: bool = False


def convert_summarizer(source: str | os.PathLike[str], directory: str | os.PathLike[str], family: Family) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    folder, target = checked_folders(source, directory)
    settings = read_settings(folder, family, SUMMARIZATION)
    text = read_text_tokenizer(folder, settings.theirs.vocab_size)
    return write_seq2seq(folder, target, settings, text.framed(), SUMMARIZE)


def read_settings(folder: Path, family: Family, task: str = "", language: bool = False) -> Settings:
    """What config.json and generation_config.json say. language: as for `GenerationConfig.to_defaults`. Raises
    FileNotFoundError, or ValueError that names the file and the key."""
    architecture = f"{family.prefix}ForConditionalGeneration"
    table, theirs = read_architecture(
        folder, family.model_type, architecture, family.config, stack=f"{family.prefix}Model"
    )
    file, settings, generation = read_generation(folder, table, GenerationConfig, task)
    if file.name == CONFIG_FILE:
        generation = _as_of_old(generation, theirs, msgspec.convert(settings, _OldGeneration, strict=False))
    ours, defaults = settled(theirs, generation, file, language)
    return Settings(theirs, ours, generation, defaults, left_out_of_search(settings, file))


def _as_of_old(generation: GenerationConfig, config: Seq2SeqConfig, old: _OldGeneration) -> GenerationConfig:
    """Checkpoints with one configuration leave out what was taken for granted."""
    changed: dict[str, object] = {}
    if generation.forced_eos_token_id is None:
        changed["forced_eos_token_id"] = config.eos_token_id
    if generation.forced_bos_token_id is None and old.force_bos_token_to_be_generated:
        changed["forced_bos_token_id"] = config.bos_token_id
    return msgspec.structs.replace(generation, **changed)


def write_seq2seq(folder: Path, target: Path, settings: Settings, tokenizers: TokenizerPair, task: str) -> Converted:
    """The model directory, of the tensors in the folder."""
    config, vocabulary = settings.ours, settings.theirs.vocab_size
    tensors = Tensors(folder)
    computed = () if config.positions == "learned" else _POSITIONS
    model, unread = load_seq2seq(tensors, config, (vocabulary, vocabulary), computed)
    check_positions(tensors, computed, (config.max_length, config.d_model))
    with atomic_folder(target) as new:
        save_directory(model, new, task, tokenizers=tokenizers, decoding=settings.defaults)
    left_out = [*tensors.notes, *settings.left_out, *left_out_tensors(tensors, unread, "a model of this kind")]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)
