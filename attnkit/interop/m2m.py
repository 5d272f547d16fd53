"""Models of many languages as Hugging Face keeps them (facebook/nllb-200-*, facebook/m2m100_* and their like), made
into model directories.

The Transformer is ours, with fairseq's choices in its configuration. A source begins with the token of its language, a
target with that of its own.
"""

from __future__ import annotations

import os

from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted, checked_folders
from attnkit.interop.hf_weights import check_positions, left_out_tensors, load_seq2seq
from attnkit.interop.m2m_config import read_m2m_configs
from attnkit.interop.m2m_tokenizers import read_m2m_tokenizers
from attnkit.interop.tensors import Tensors
from attnkit.tasks.shared.directory import save_directory

_POSITIONS = ("model.encoder.embed_positions.weights", "model.decoder.embed_positions.weights")
_MORE_POSITIONS = 2  # that their tables have


def convert_m2m(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    folder, target = checked_folders(source, directory)
    m2m, config, defaults, language, left_out = read_m2m_configs(folder)
    tensors = Tensors(folder)
    model, unread = load_seq2seq(tensors, config, (m2m.vocab_size, m2m.vocab_size), _POSITIONS)
    shape = config.max_length + _MORE_POSITIONS, config.d_model
    check_positions(tensors, _POSITIONS, shape, config.position_spacing, skipped=config.position_offset)
    tokenizers = read_m2m_tokenizers(folder, m2m, language)
    with atomic_folder(target) as new:
        save_directory(model, new, "translate", tokenizers=tokenizers, decoding=defaults)
    left_out += left_out_tensors(tensors, unread, "a model of this kind")
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)
