"""Marian's own models, as Mozilla, Bergamot and OPUS-MT publish them, made into model directories.

Names and the order of matrices change, numbers do not: int8 matrices stay the bytes that they are, with their
multipliers, and with those of their inputs where the model has them ("alphas").
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from attnkit import _core
from attnkit._core import Tensor
from attnkit._tensor import Precision
from attnkit.decoding.defaults import DecodingDefaults
from attnkit.decoding.shortlist import Shortlist
from attnkit.files import atomic_folder
from attnkit.interop.compressed import read_published
from attnkit.interop.converted import Converted, checked_folders
from attnkit.interop.marian_file import MarianFile
from attnkit.interop.marian_folder import MarianFolder
from attnkit.interop.marian_lexicon import read_lexicon, read_text_lexicon
from attnkit.interop.marian_options import MarianOptions
from attnkit.interop.marian_yaml import read_yaml
from attnkit.models.registry import build_model
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.init import InitLimitError, skip_init
from attnkit.printable import quoted
from attnkit.tasks.shared.directory import SHORTLIST_FILE, save_directory
from attnkit.text.tokenizers.marian import PAD_PIECE, MarianTokenizer, MarianVocabulary
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.sentencepiece_file import read_processor

_Floats = npt.NDArray[np.float32]

_LARGEST_SPM = 1 << 28
_NEVER = np.float32(-1000.0)
"""The bias of the start token in the output layer: its probability is 0, and its gradient finite."""

_ALPHA = "_QuantMultA"
_OUTPUT_ALPHAS = ("none", "decoder_Wemb", "Wemb")
"""Whose alpha is that of the output layer's input, where it shares an embedding: by the names of its versions."""


def convert_native(source: str | os.PathLike[str], directory: str | os.PathLike[str]) -> Converted:
    """Reads the model in the folder `source` and writes the model directory `directory`, whole or not at all.

    The folder is one of Mozilla's or Bergamot's (`model*.bin`, `vocab*.spm` or `srcvocab*.spm` and `trgvocab*.spm`,
    `lex*.s2t.bin`), or of OPUS-MT's (`*.npz`, `source.spm`, `target.spm`, `*vocab.yml`), with `config*.yml` or
    `decoder.yml` or without; each file may be packed by gzip or zstd.
    Raises FileExistsError where `directory` has content; OSError or ValueError, naming the file, for a model that is
    incomplete, broken or not supported.
    """
    folder, target = checked_folders(source, directory)
    files = MarianFolder.find(folder)
    weights = MarianFile(files.model)
    options = MarianOptions.read(weights.config(), files.model)
    tokenizers, start = _tokenizers(files, options)
    eos = tokenizers.target.eos_id
    config = _configured(options, start, eos, files)
    reader = _Reader(weights, options, config)
    model = _model(reader, tokenizers)
    defaults, left_out = _defaults(files, start, tokenizers.target.unk_id)
    shortlist = None if files.lexicon is None else _shortlist(files.lexicon, tokenizers)
    with atomic_folder(target) as new:
        save_directory(model, new, "translate", tokenizers=tokenizers, decoding=defaults, precision=_precision(model))
        if shortlist is not None:
            shortlist.save(new / SHORTLIST_FILE)
    left_out += reader.left_out()
    return Converted(config, sum(parameter.size for parameter in model.parameters()), left_out)


def _configured(options: MarianOptions, start: int, eos: int, files: MarianFolder) -> TransformerConfig:
    # Those who train students train a head on alignments, too, and make the lexicon of the same alignments.
    aligned = options.is_ssru or files.lexicon is not None
    try:
        return options.to_transformer(start, eos, aligned)
    except ValueError as error:
        raise ValueError(f"[convert] {files.model}: special:model.yml: {error}") from None


def _precision(model: Any) -> Precision | None:
    return "int8" if any(parameter.dtype == "int8" for parameter in model.parameters()) else None


# ----- Vocabularies


def _tokenizers(files: MarianFolder, options: MarianOptions) -> tuple[TokenizerPair, int]:
    """The tokenizers, and the id of the start token: the one behind those of the target's pieces."""
    sizes = options.dim_vocabs
    joint = files.vocabularies[0] == files.vocabularies[1]
    if options.tie == "all" and not (joint and sizes[0] == sizes[1]):
        raise ValueError(f"[convert] {files.model}: expected one vocabulary of two equal sizes, since all is tied")
    target = _vocabulary(files.vocabularies[1], sizes[1], "vocab.json" if joint else "target_vocab.json", starts=True)
    source = target if joint else _vocabulary(files.vocabularies[0], sizes[0], "vocab.json", starts=False)
    pair = TokenizerPair(_tokenizer(files.pieces[0], source), _tokenizer(files.pieces[1], target), "marian")
    return pair, sizes[1]


def _vocabulary(path: Path, size: int, name: str, starts: bool) -> MarianVocabulary:
    content = read_published(path, _LARGEST_SPM)
    if ".yml" in path.name or ".yaml" in path.name:
        found = _listed_pieces(read_yaml(content, str(path)), path)
    else:
        processor = read_processor(content, str(path))
        found = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    if len(found) > size:
        raise ValueError(f"[convert] {path}: expected at most {size} pieces, as the model has, got {len(found)}")
    pieces: list[str | None] = [*found, *[None] * (size - len(found))]
    if starts:
        if PAD_PIECE in pieces:
            pieces[pieces.index(PAD_PIECE)] = None
        pieces.append(PAD_PIECE)
    try:
        return MarianVocabulary(pieces, name)
    except ValueError as error:
        raise ValueError(f"[convert] {path}: {error}") from None


def _listed_pieces(table: dict[str, Any], path: Path) -> list[str | None]:
    """The pieces of a vocab.yml, each with its id."""
    most = max((number for number in table.values() if type(number) is int), default=-1)
    if most >= 2**24 or most < 0:
        raise ValueError(f"[convert] {path}: expected pieces with ids, got none, or one of {most}")
    pieces: list[str | None] = [None] * (most + 1)
    for piece, number in table.items():
        if type(number) is not int or number < 0:
            raise ValueError(f"[convert] {path}: expected an id of {quoted(piece)}, got {quoted(number)}")
        if pieces[number] is not None:
            raise ValueError(f"[convert] {path}: expected a piece for each id, got two for {number}")
        pieces[number] = piece
    return pieces


def _tokenizer(path: Path, vocabulary: MarianVocabulary) -> MarianTokenizer:
    return MarianTokenizer(read_published(path, _LARGEST_SPM), vocabulary, str(path))


def _shortlist(lexicon: Path, tokenizers: TokenizerPair) -> Shortlist:
    both = [cast(MarianTokenizer, tokenizer) for tokenizer in (tokenizers.source, tokenizers.target)]
    source, target = (tokenizer.vocab_size for tokenizer in both)
    if ".bin" in lexicon.suffixes:
        return read_lexicon(lexicon, source, target, tokenizers.joint)

    def numbered(tokenizer: MarianTokenizer, word: str) -> int:
        return tokenizer.vocabulary.ids.get(word, tokenizer.unk_id)

    ids = [functools.partial(numbered, tokenizer) for tokenizer in both]
    return read_text_lexicon(lexicon, ids[0], ids[1], (source, target), shared=tokenizers.joint)


# ----- The search


def _defaults(files: MarianFolder, start: int, unknown: int) -> tuple[DecodingDefaults, list[str]]:
    """The search that the settings ask for: greedy, where there are none, as students are meant to run."""
    settings, left_out = files.settings, list[str]()

    def number(name: str, fallback: float) -> float:
        value = settings.get(name)
        if value is None:
            return fallback
        if isinstance(value, bool):  # normalize: true
            return float(value)
        if not isinstance(value, (int, float)) or not 0 <= value <= 1024:
            raise ValueError(f"[convert] {files.settings_file}: expected a number for {name}, got {quoted(value)}")
        return float(value)

    beam = int(number("beam-size", 1 if files.lexicon is not None or files.settings_file is None else 12))
    for name in ("word-penalty", "allow-unk", "n-best"):
        if settings.get(name) not in (None, 0, 0.0, False):
            left_out.append(
                f"{files.settings_file}: {name} = {quoted(settings[name])} is left out, which attnkit's search does "
                "not have"
            )
    # Marian divides by length ** normalize, and by nothing where that is 0.
    penalty = number("normalize", 0.0 if files.settings_file else 1.0)
    return DecodingDefaults(
        beam=max(1, beam),
        min_length=0,
        length_penalty=penalty,
        normalization="average",
        suppress=(unknown, start),
        shortlist=True if files.lexicon is not None else None,
    ), left_out


# ----- Weights


def _model(reader: _Reader, tokenizers: TokenizerPair) -> Any:
    sizes = tokenizers.source.vocab_size, tokenizers.target.vocab_size
    try:
        with skip_init(4 * reader.file.total_size() + 4 * reader.options.dim_emb):
            model = build_model(reader.config, *sizes)
    except InitLimitError:
        raise ValueError(
            f"[convert] {reader.file.path}: special:model.yml describes a larger model than its tensors"
        ) from None
    for name, parameter in model.named_parameters():
        parameter.adopt_(reader.read(name, parameter.shape))
    if more := [name for name in reader.unread() if "_l" in name and name.startswith(("encoder_", "decoder_"))]:
        raise ValueError(f"[convert] {reader.file.path}: expected no tensor {more[0]} by special:model.yml, got one")
    model.eval()
    return model


class _Part(NamedTuple):
    """The tensors of which one of ours consists. kind: "matrix" [in, out], ours lying the other way; "vector" [1, n];
    "rows" [n, width], of an embedding or an output matrix."""

    kind: str
    names: tuple[str, ...]


class _Reader:
    """Our parameters from their tensors."""

    def __init__(self, file: MarianFile, options: MarianOptions, config: TransformerConfig) -> None:
        self.file, self.options, self.config = file, options, config
        self._parts = dict(self._all_parts())
        self._alphas_left = list[str]()

    def unread(self) -> list[str]:
        read = {name for part in self._parts.values() for name in part.names} | {"decoder_ff_logit_out_b"}
        return sorted(name for name in self.file.names() - read if not name.endswith(_ALPHA))

    def left_out(self) -> list[str]:
        """A line for what the model has and we do without."""
        lines = list(self._alphas_left)
        if names := self.unread():
            more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
            lines.append(f"{self.file.path}: {names[0]}{more} is left out, which a Transformer does not have")
        return lines

    def read(self, name: str, shape: tuple[int, ...]) -> Tensor | _Floats:
        if name in ("tied_output_bias", "generator.bias"):
            return self._output_bias(shape[0])
        part = self._parts[name]
        if part.kind == "vector":
            width = shape[0] // len(part.names)
            return np.concatenate([self._floats(each, (1, width))[0] for each in part.names])
        if part.kind == "rows":
            return self._rows(part.names[0], (shape[0], shape[1]))
        rows = shape[0] // len(part.names)
        if {self._type(each) for each in part.names} == {"int8"}:
            return self._bytes(name, part.names, (shape[1], rows))
        return np.concatenate([self._matrix(each, (shape[1], rows)).T for each in part.names])

    # -- numbers

    def _type(self, name: str) -> str:
        return self.file.type(name) if name in self.file else "missing"

    def _floats(self, name: str, shape: tuple[int, ...]) -> _Floats:
        numbers = self.file.floats(name, shape)
        if not np.isfinite(numbers).all():
            raise ValueError(f"[convert] {self.file.path}: expected finite numbers in {name}, got others")
        return numbers

    def _matrix(self, name: str, shape: tuple[int, int]) -> _Floats:
        if self._type(name) != "int8":
            return self._floats(name, shape)
        data, multiplier = self.file.int8(name, shape)
        return data.astype(np.float32) / np.float32(multiplier)

    def _bytes(self, name: str, names: tuple[str, ...], shape: tuple[int, int]) -> Tensor:
        read = [self.file.int8(each, shape, as_stored=True) for each in names]
        multipliers = np.repeat(np.array([multiplier for _, multiplier in read], np.float32), shape[1])
        alphas = {self._alpha(each) for each in names}
        if len(alphas) != 1:
            self._alphas_left.append(
                f"{self.file.path}: the alphas of {names[0]} are left out: {name} has only one input"
            )
        alpha = alphas.pop() if len(alphas) == 1 else 0.0
        return _core.from_int8(np.concatenate([data for data, _ in read]), multipliers, alpha)

    def _alpha(self, name: str) -> float:
        """What the inputs of this matrix are multiplied by in int8; 0 where the model does not say."""
        name += _ALPHA
        if name not in self.file:
            return 0.0
        if self._type(name) == "int8":
            data, multiplier = self.file.int8(name, (1, 1))
            alpha = float(data[0, 0]) / multiplier
        else:
            alpha = float(self._floats(name, (1, 1))[0, 0])
        if not 0.0 < alpha < 1e30:
            raise ValueError(f"[convert] {self.file.path}: expected a positive number in {name}, got {alpha}")
        return alpha

    def _rows(self, name: str, shape: tuple[int, int]) -> Tensor | _Floats:
        """An embedding, with a row of zeros for the start token where ours has one more."""
        theirs = self.options.dim_vocabs[0 if name == "encoder_Wemb" else 1]
        added = shape[0] - theirs
        if self._type(name) == "int8":
            data, multiplier = self.file.int8(name, (theirs, shape[1]), transposed=False)
            rows = np.concatenate([data, np.zeros((added, shape[1]), np.int8)])
            alpha = next((self._alpha(each) for each in _OUTPUT_ALPHAS if each + _ALPHA in self.file), 0.0)
            return _core.from_int8(rows, np.full(shape[0], multiplier, np.float32), alpha)
        if name == "decoder_ff_logit_out_W":  # of versions before 1.8, the other way round
            numbers = self._matrix(name, (shape[1], theirs)).T
        else:
            numbers = self._floats(name, (theirs, shape[1]))
        return np.concatenate([numbers, np.zeros((added, shape[1]), np.float32)])

    def _output_bias(self, size: int) -> _Floats:
        theirs = self.options.dim_vocabs[1]
        bias = np.full(size, _NEVER, np.float32)
        name = "decoder_ff_logit_out_b"
        bias[:theirs] = 0.0 if self.options.output_omit_bias else self._floats(name, (1, theirs))[0]
        return bias

    # -- names

    def _all_parts(self) -> Iterator[tuple[str, _Part]]:
        o = self.options
        shared = o.tied_embeddings_all or o.tied_embeddings_src
        yield "source_embedding.weight", _Part("rows", ("Wemb" if shared else "encoder_Wemb",))
        yield "target_embedding.weight", _Part("rows", ("Wemb" if shared else "decoder_Wemb",))
        output = "decoder_ff_logit_out_Wt" if "decoder_ff_logit_out_Wt" in self.file else "decoder_ff_logit_out_W"
        yield "generator.weight", _Part("rows", (output,))
        for stack, depth in (("encoder", o.enc_depth), ("decoder", o.dec_depth)):
            for i in range(depth):
                for name, part in _layer(f"{stack}_l{i + 1}", stack == "decoder", o):
                    yield f"{stack}.layers.{i}.{name}", part
            if o.is_pre_norm:
                yield from _norm(f"{stack}.last_norm", f"{stack}_top", "")


def _layer(prefix: str, decodes: bool, options: MarianOptions) -> Iterator[tuple[str, _Part]]:
    before = options.is_pre_norm
    ours = "self_attention" if decodes else "attention"
    if decodes and options.is_ssru:
        theirs = f"{prefix}_rnn"
        yield "ssru.projection.weight", _Part("matrix", (f"{theirs}_Wf", f"{theirs}_W"))
        yield "ssru.bias", _Part("vector", (f"{theirs}_bf",))
        yield from _norm("self_attention_norm", *((theirs, "_pre") if before else (f"{theirs}_ffn", "")))
    else:
        yield from _linear(f"{ours}.projection", f"{prefix}_self", "qkv")
        yield from _linear(f"{ours}.output", f"{prefix}_self", "o")
        yield from _norm(f"{ours}_norm", f"{prefix}_self_Wo", "_pre" if before else "")
    if decodes:
        for name, letters in (("query", "q"), ("key_value", "kv"), ("output", "o")):
            yield from _linear(f"cross_attention.{name}", f"{prefix}_context", letters)
        yield from _norm("cross_attention_norm", f"{prefix}_context_Wo", "_pre" if before else "")
    for name, letters in (("up", "1"), ("down", "2")):
        yield from _linear(f"feed_forward.{name}", f"{prefix}_ffn", letters)
    yield from _norm("feed_forward_norm", f"{prefix}_ffn_ffn", "_pre" if before else "")


def _linear(ours: str, theirs: str, letters: str) -> Iterator[tuple[str, _Part]]:
    yield f"{ours}.weight", _Part("matrix", tuple(f"{theirs}_W{letter}" for letter in letters))
    yield f"{ours}.bias", _Part("vector", tuple(f"{theirs}_b{letter}" for letter in letters))


def _norm(ours: str, theirs: str, end: str) -> Iterator[tuple[str, _Part]]:
    yield f"{ours}.weight", _Part("vector", (f"{theirs}_ln_scale{end}",))
    yield f"{ours}.bias", _Part("vector", (f"{theirs}_ln_bias{end}",))
