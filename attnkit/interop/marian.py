"""Marian models as Hugging Face keeps them (Helsinki-NLP/opus-mt-* and their like), made into model directories.

The Transformer is ours, with Marian's choices in its configuration; only names and the order of matrices change. So
decoding and drawing work for converted models as for any other.
"""

from __future__ import annotations

import os

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted, checked_folders
from attnkit.interop.hf_weights import check_positions, left_out_tensors, load_seq2seq
from attnkit.interop.marian_config import read_configs
from attnkit.interop.marian_tokenizers import read_tokenizers
from attnkit.interop.tensors import Tensors
from attnkit.tasks.shared.directory import save_directory

_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")


def convert_marian(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    folder, target = checked_folders(source, directory)
    marian, config, defaults, left_out = read_configs(folder)
    tensors = Tensors(folder)
    model, unread = load_seq2seq(tensors, config, (marian.vocab_size, marian.target_vocab_size), _POSITIONS)
    check_positions(tensors, _POSITIONS, (config.max_length, config.d_model))
    tokenizers = read_tokenizers(folder, marian)
    with atomic_folder(target) as new:
        save_directory(model, new, "translate", tokenizers=tokenizers, decoding=defaults)
    left_out = [*tensors.notes, *left_out, *left_out_tensors(tensors, unread, "a Marian model")]
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)
