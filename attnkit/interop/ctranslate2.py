"""CTranslate2's models, made into model directories: translators of OPUS-MT, OpenNMT, Marian and fairseq as its
converters write them.

Each parameter is one variable there. int8 stays the bytes that it is, with the scale of each row.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from attnkit import _core
from attnkit._core import Tensor
from attnkit.decoding.defaults import DecodingDefaults
from attnkit.files import atomic_folder
from attnkit.interop.converted import Converted, checked_folders
from attnkit.interop.ctranslate2_config import (
    Positions,
    SearchConfig,
    Side,
    check_kind,
    embedding_name,
    is_description,
    position_name,
    read_positions,
    read_side,
    to_transformer,
)
from attnkit.interop.ctranslate2_file import MODEL_FILE, CTranslate2File
from attnkit.interop.ctranslate2_tokenizers import read_tokenizers
from attnkit.models.registry import build_model
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.init import InitLimitError, skip_init
from attnkit.tasks.shared.directory import save_directory
from attnkit.text.tokenizers.pair import TokenizerPair

DEFAULTS = DecodingDefaults(
    beam=2, min_length=1, length_penalty=1.0, normalization="average", rules="transformers", renormalize=True
)
"""What CTranslate2 does unless it is told otherwise: as many hypotheses live on beside the finished ones, and what is
forbidden has no share of the probability."""

_NEVER = np.float32(-1000.0)
"""The bias, in the output layer, of entries that the model does not have: their probability is 0."""

_MATRICES = ("weight", "bias")
_ENCODER_LAYER = {
    "attention.projection": "self_attention/linear_0",
    "attention.output": "self_attention/linear_1",
    "attention_norm": "self_attention/layer_norm",
    "feed_forward.up": "ffn/linear_0",
    "feed_forward.down": "ffn/linear_1",
    "feed_forward_norm": "ffn/layer_norm",
}
_DECODER_LAYER = {
    **{name.replace("attention", "self_attention", 1): theirs for name, theirs in _ENCODER_LAYER.items()},
    "cross_attention.query": "attention/linear_0",
    "cross_attention.key_value": "attention/linear_1",
    "cross_attention.output": "attention/linear_2",
    "cross_attention_norm": "attention/layer_norm",
}
_GATED = {"feed_forward.gate": "ffn/linear_0", "feed_forward.up": "ffn/linear_0_noact"}
_NORM = {"weight": "gamma", "bias": "beta"}


class Read(NamedTuple):
    """A model and its tokenizers, read. left_out: a line for each file or variable that is not followed."""

    model: Any
    config: TransformerConfig
    tokenizers: TokenizerPair
    no_text: tuple[int, ...]
    left_out: list[str]

    def save(self, folder: Path, defaults: DecodingDefaults) -> Converted:
        """Writes a model directory."""
        int8 = any(parameter.dtype == "int8" for parameter in self.model.parameters())
        defaults = msgspec.structs.replace(defaults, suppress=self.no_text)
        save_directory(
            self.model, folder, "translate", tokenizers=self.tokenizers, decoding=defaults,
            precision="int8" if int8 else None,
        )  # fmt: skip
        return Converted(self.config, sum(each.size for each in self.model.parameters()), self.left_out)


def convert_ctranslate2(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the model in the folder `source` and writes the model directory `directory`, whole or not at all.

    The folder is one that CTranslate2 translates with (`model.bin`, `config.json`, vocabularies), and has beside them
    the SentencePiece models: source.spm and target.spm, or one for both.
    Raises FileExistsError where `directory` has content; OSError or ValueError, naming the file, for a model that is
    incomplete, broken or not supported.
    """
    folder, target = checked_folders(source, directory)
    read = read_ctranslate2(folder)
    with atomic_folder(target) as new:
        return read.save(new, DEFAULTS)


def read_ctranslate2(folder: Path, tokenizer: Path | None = None) -> Read:
    """tokenizer: the SentencePiece model; None looks for it in the folder. Raises as `convert_ctranslate2`."""
    file = CTranslate2File(folder / MODEL_FILE)
    check_kind(file)
    search = SearchConfig.read(folder, file)
    encoder, decoder = read_side(file, "encoder"), read_side(file, "decoder")
    positions = read_positions(file, encoder.width)
    zero_start = bool(file.scalar("decoder/start_from_zero_embedding", 0))
    rows = file.shape(embedding_name(file, "encoder"))[0], file.shape(embedding_name(file, "decoder"))[0]
    tokenizers = read_tokenizers(folder, search, rows, zero_start, tokenizer)
    # Ours leave room for one token around a source.
    positions = positions._replace(longest=max(1, positions.longest - max(0, tokenizers.around - 1)))
    pair = tokenizers.pair
    sizes = pair.source.vocab_size, pair.target.vocab_size
    config = _configured(file, search, (encoder, decoder), positions, sizes, tokenizers.start, pair.target.eos_id)
    reader = _Reader(file, config, rows)
    model = _model(reader, sizes)
    left_out = reader.left_out()
    if (heads := file.scalar("decoder/alignment_heads", 1)) not in (0, 1, decoder.heads):
        left_out.append(f"{file.path}: attention is the mean over all heads of its layer, not over the first {heads:g}")
    if (folder / "vmap.txt").exists():
        left_out.append(
            f"{folder / 'vmap.txt'}: the vocabulary map is left out; `attnkit shortlist` makes one of a parallel corpus"
        )
    return Read(model, config, pair, tokenizers.no_text, left_out)


def _configured(
    file: CTranslate2File,
    search: SearchConfig,
    sides: tuple[Side, Side],
    positions: Positions,
    sizes: tuple[int, int],
    start: int,
    eos: int,
) -> TransformerConfig:
    source, target = embedding_name(file, "encoder"), embedding_name(file, "decoder")
    tie = "none"
    if file.same("decoder/projection/weight", target):
        tie = "all" if sizes[0] == sizes[1] and file.same(source, target) else "decoder"
    return to_transformer(file, search, sides, positions, tie_embeddings=tie, bos_id=start, eos_id=eos)


# ----- Weights


def _model(reader: _Reader, sizes: tuple[int, int]) -> Any:
    file, config = reader.file, reader.config
    try:
        with skip_init(4 * file.total_size() + 8 * config.d_model):
            model = build_model(config, *sizes)
    except InitLimitError:
        raise ValueError(f"[convert] {file.path}: describes a larger model than its variables") from None
    for name, parameter in model.named_parameters():
        parameter.adopt_(reader.read(name, parameter.shape))
    if more := [name for name in reader.unread() if "/layer" in name]:
        raise ValueError(f"[convert] {file.path}: expected no variable {more[0]}, which our Transformer lacks, got one")
    model.eval()
    return model


class _Reader:
    """Our parameters from their variables. rows: of their embeddings of sources and targets, of which ours may have a
    few more."""

    def __init__(self, file: CTranslate2File, config: TransformerConfig, rows: tuple[int, int]) -> None:
        self.file, self.config, self._rows = file, config, rows
        self._names = dict(_all_names(file, config))

    def unread(self) -> list[str]:
        """The weights that the model does without."""
        read = {*self._names.values(), *map(position_name, ("encoder", "decoder"))}
        read |= {f"{name}_scale" for name in read}
        return sorted(name for name in self.file.names() - read if not is_description(name))

    def left_out(self) -> list[str]:
        names = self.unread()
        more = f" and {len(names) - 1} more variables" if len(names) > 1 else ""
        return [f"{self.file.path}: {names[0]}{more} is left out, which a Transformer does not have"] if names else []

    def read(self, name: str, shape: tuple[int, ...]) -> Tensor | npt.NDArray[np.float32]:
        theirs = self._names[name]
        if name in ("tied_output_bias", "generator.bias"):
            return self._output_bias(theirs, shape[0])
        if name.endswith("positions.weight"):
            return self._positions(theirs, shape)
        if name.endswith(".bias") and theirs not in self.file:
            return np.zeros(shape, np.float32)
        rows = self._rows_of(name, shape[0])
        if len(shape) == 2 and theirs in self.file and self.file.type(theirs) == "int8":
            return self._bytes(theirs, rows, (shape[0], shape[1]))
        numbers = self.file.floats(theirs, (rows, *shape[1:]))
        return numbers if rows == shape[0] else _with_zeros(numbers, shape[0])

    def _rows_of(self, name: str, ours: int) -> int:
        """How many rows theirs has."""
        if name == "source_embedding.weight":
            return self._rows[0]
        return self._rows[1] if name in ("target_embedding.weight", "generator.weight") else ours

    def _bytes(self, theirs: str, rows: int, shape: tuple[int, int]) -> Tensor:
        data, scales = self.file.int8(theirs, (rows, shape[1]))
        if rows < shape[0]:
            data = _with_zeros(data, shape[0])
            scales = np.concatenate([scales, np.ones(shape[0] - rows, np.float32)])
        return _core.from_int8(data, scales)

    def _positions(self, theirs: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        rows = self.file.shape(theirs)[0]
        return np.ascontiguousarray(self.file.floats(theirs, (rows, shape[1]))[: shape[0]])

    def _output_bias(self, theirs: str, size: int) -> npt.NDArray[np.float32]:
        bias = np.full(size, _NEVER, np.float32)
        count = self._rows[1]
        bias[:count] = self.file.floats(theirs, (count,)) if theirs in self.file else 0.0
        return bias


def _all_names(file: CTranslate2File, config: TransformerConfig) -> Iterator[tuple[str, str]]:
    """Our parameters, and the variable of each."""
    yield "source_embedding.weight", embedding_name(file, "encoder")
    yield "target_embedding.weight", embedding_name(file, "decoder")
    yield "generator.weight", "decoder/projection/weight"
    for name in ("generator.bias", "tied_output_bias"):
        yield name, "decoder/projection/bias"
    for ours, side in (("source", "encoder"), ("target", "decoder")):
        yield f"{ours}_embedding.positions.weight", position_name(side)
        yield from _norm(f"{ours}_embedding.norm", f"{side}/layernorm_embedding")
        if config.norm == "pre":
            yield from _norm(f"{side}.last_norm", f"{side}/layer_norm")
    gated = _GATED if config.gated else {}
    stacks = (("encoder", config.encoder_layers, _ENCODER_LAYER), ("decoder", config.decoder_layers, _DECODER_LAYER))
    for side, count, layer in stacks:
        for index in range(count):
            for name, theirs in {**layer, **gated}.items():
                ours, there = f"{side}.layers.{index}.{name}", f"{side}/layer_{index}/{theirs}"
                if name.endswith("norm"):
                    yield from _norm(ours, there)
                else:
                    yield from ((f"{ours}.{end}", f"{there}/{end}") for end in _MATRICES)


def _norm(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield from ((f"{ours}.{end}", f"{theirs}/{their_end}") for end, their_end in _NORM.items())


def _with_zeros(array: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    return np.concatenate([array, np.zeros((rows - len(array), *array.shape[1:]), array.dtype)])
