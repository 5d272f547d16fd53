"""Marian models as Hugging Face keeps them (Helsinki-NLP/opus-mt-* and their like), made into model directories.

The Transformer is ours, with Marian's choices in its configuration; only names and the order of matrices change. So
decoding and drawing work for converted models as for any other.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit.files import atomic_folder
from attnkit.interop.marian_config import MarianConfig, read_configs, read_table
from attnkit.interop.tensors import Tensors
from attnkit.models.registry import build_model
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.init import InitLimitError, skip_init
from attnkit.nn.positions import sinusoids
from attnkit.printable import quoted
from attnkit.reading import read_file
from attnkit.tasks.shared.directory import save_directory
from attnkit.text.tokenizers.marian import EOS_PIECE, PAD_PIECE, UNK_PIECE, MarianTokenizer, MarianVocabulary
from attnkit.text.tokenizers.pair import TokenizerPair

# Our layers, and theirs whose matrices lie on top of each other in ours.
_ENCODER_LAYER = {
    "attention.projection": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attention.output": ("self_attn.out_proj",),
    "attention_norm": ("self_attn_layer_norm",),
    "feed_forward.up": ("fc1",),
    "feed_forward.down": ("fc2",),
    "feed_forward_norm": ("final_layer_norm",),
}
_DECODER_LAYER = {
    **{name.replace("attention", "self_attention", 1): parts for name, parts in _ENCODER_LAYER.items()},
    "cross_attention.query": ("encoder_attn.q_proj",),
    "cross_attention.key_value": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "cross_attention.output": ("encoder_attn.out_proj",),
    "cross_attention_norm": ("encoder_attn_layer_norm",),
}
_SHARED, _OUTPUT, _BIAS = "model.shared.weight", "lm_head.weight", "final_logits_bias"
_SOURCE, _TARGET = "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"
_POSITIONS = ("model.encoder.embed_positions.weight", "model.decoder.embed_positions.weight")


class Converted(NamedTuple):
    """What came of a conversion. left_out: a line for each setting of the checkpoint that attnkit does not follow."""

    config: TransformerConfig
    parameters: int
    left_out: list[str]


def convert_marian(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the checkpoint in the folder `source` and writes the model directory `directory`, whole or not at all.

    Raises FileExistsError where `directory` has content; FileNotFoundError or ValueError, naming the file, for a
    checkpoint that is incomplete, broken or of another kind.
    """
    folder, target = Path(source), Path(directory)
    if not folder.is_dir():
        raise FileNotFoundError(f"[convert] {folder}: expected the folder of a Marian checkpoint, got no folder")
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(f"[convert] {target}: expected a new or empty folder, got one that has content")
    marian, generation, left_out = read_configs(folder)
    try:
        config = marian.to_transformer(generation)
        defaults = generation.to_defaults(marian.max_position_embeddings)
    except ValueError as error:
        raise ValueError(f"[convert] {folder / 'config.json'}: {error}") from None
    # Sizes of the configuration are believed once they fit the tensors.
    model = _model(Tensors(folder), marian, config)
    tokenizers = _tokenizers(folder, marian)
    with atomic_folder(target) as new:
        save_directory(model, new, "translate", tokenizers=tokenizers, decoding=defaults)
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)


# ----- Weights


def _model(tensors: Tensors, marian: MarianConfig, config: TransformerConfig) -> Any:
    size = tensors.total_size()
    try:
        if config.d_model**2 > size:
            raise InitLimitError
        # A matrix that the checkpoint has once may be three here; what is far beyond it is refused before its memory is
        # taken.
        with skip_init(4 * size):
            model = build_model(config, marian.vocab_size, marian.target_vocab_size)
    except InitLimitError:
        raise ValueError(f"[convert] {tensors.file}: config.json describes a larger model than its tensors") from None
    layers, shared = _layer_parts(config), _shared_parts(marian)
    used = {_BIAS, *_POSITIONS}
    for name, parameter in model.named_parameters():
        shape = parameter.shape
        if name in layers:
            parts = [tensors.read(part, (shape[0] // len(layers[name]), *shape[1:])) for part in layers[name]]
            parameter.copy_(np.concatenate(parts))
            used.update(layers[name])
        elif name in shared:
            parameter.copy_(_read_first(tensors, shared[name], shape, same=marian.tie_word_embeddings))
            used.update(shared[name])
        else:
            parameter.copy_(_bias(tensors, shape))
    if unexpected := sorted(tensors.names() - used):
        raise ValueError(f"[convert] {tensors.folder}: expected no tensor {unexpected[0]} by config.json, got one")
    _check_positions(tensors, config)
    model.eval()
    return model


def _layer_parts(config: TransformerConfig) -> dict[str, tuple[str, ...]]:
    """Our parameters of the layers, and the tensors of which each consists."""
    stacks = (("encoder", config.encoder_layers, _ENCODER_LAYER), ("decoder", config.decoder_layers, _DECODER_LAYER))
    return {
        f"{stack}.layers.{index}.{name}.{kind}": tuple(f"model.{stack}.layers.{index}.{part}.{kind}" for part in parts)
        for stack, count, layer in stacks
        for index in range(count)
        for name, parts in layer.items()
        for kind in ("weight", "bias")
    }


def _shared_parts(marian: MarianConfig) -> dict[str, tuple[str, ...]]:
    """Our embeddings and output matrix, and the names that the same tensor can have."""
    if not marian.tie_word_embeddings:
        return {
            "source_embedding.weight": (_SOURCE, _SHARED),
            "target_embedding.weight": (_TARGET, _SHARED),
            "generator.weight": (_OUTPUT,),
        }
    if marian.share_encoder_decoder_embeddings:
        return {"source_embedding.weight": (_SHARED, _SOURCE, _TARGET, _OUTPUT)}
    return {"source_embedding.weight": (_SOURCE,), "target_embedding.weight": (_TARGET, _OUTPUT)}


def _read_first(
    tensors: Tensors, names: tuple[str, ...], shape: tuple[int, ...], same: bool
) -> npt.NDArray[np.float32]:
    """The first of the names that is there. With `same` all of them are one tensor, held several times."""
    first, *others = [name for name in names if name in tensors] or [names[0]]
    array = tensors.read(first, shape)
    for other in others:
        if same and not np.array_equal(array, tensors.read(other, shape)):
            raise ValueError(f"[convert] {tensors.folder}: expected {first} and {other} to be one, got two")
    return array


def _bias(tensors: Tensors, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return tensors.read(_BIAS, (1, *shape))[0] if _BIAS in tensors else np.zeros(shape, np.float32)


def _check_positions(tensors: Tensors, config: TransformerConfig) -> None:
    """Sinusoids are computed, not loaded; where the checkpoint has them it must mean the same."""
    for name in _POSITIONS:
        if name in tensors:
            table = tensors.read(name, (config.max_length, config.d_model))
            if not np.allclose(
                table, sinusoids(config.max_length, config.d_model, halves=True), atol=1e-2
            ):  # it may be of bfloat16
                raise ValueError(f"[convert] {tensors.folder}: expected sinusoids in {name}, got other positions")


# ----- Tokenizers


def _tokenizers(folder: Path, marian: MarianConfig) -> TokenizerPair:
    file = folder / "tokenizer_config.json"
    settings = read_table(file) if file.exists() else {}
    for name, piece in (("eos_token", EOS_PIECE), ("unk_token", UNK_PIECE), ("pad_token", PAD_PIECE)):
        given = settings.get(name, piece)
        given = given.get("content") if isinstance(given, dict) else given
        if given != piece:
            raise ValueError(f"[convert] {file}: expected the {name} {piece}, got {quoted(given)}")
    source = _vocabulary(folder, "vocab.json", marian.vocab_size)
    target = source
    if settings.get("separate_vocabs"):
        target = _vocabulary(folder, "target_vocab.json", marian.target_vocab_size)
    elif marian.target_vocab_size != marian.vocab_size:
        raise ValueError(
            f"[convert] {file}: expected separate_vocabs, since config.json has {marian.vocab_size} source and "
            f"{marian.target_vocab_size} target entries"
        )
    return TokenizerPair(_tokenizer(folder, "source.spm", source), _tokenizer(folder, "target.spm", target), "marian")


def _vocabulary(folder: Path, name: str, size: int) -> MarianVocabulary:
    pieces: list[str | None] = [None] * size
    for piece, number in read_table(folder / name).items():
        if type(number) is not int or not 0 <= number < size:
            raise ValueError(
                f"[convert] {folder / name}: expected ids below {size}, got {quoted(number)} of {quoted(piece)}"
            )
        if pieces[number] is not None:
            raise ValueError(f"[convert] {folder / name}: expected a piece for each id, got two for {number}")
        pieces[number] = piece
    return MarianVocabulary(pieces, name)


def _tokenizer(folder: Path, name: str, vocabulary: MarianVocabulary) -> MarianTokenizer:
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"[convert] {path}: no such file; {folder} is not a Marian checkpoint")
    return MarianTokenizer(read_file(path), vocabulary, str(path))
