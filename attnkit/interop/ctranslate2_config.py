"""What a CTranslate2 model says of itself, in config.json and in variables that are no weights, as a configuration of
ours."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from attnkit import typed
from attnkit.interop.ctranslate2_file import CTranslate2File
from attnkit.models.config import Activation
from attnkit.models.transformer_config import TransformerConfig
from attnkit.nn.positions import sinusoids
from attnkit.printable import quoted, shortened
from attnkit.reading import read_file

CONFIG_FILE = "config.json"
REVISION = 7
"""The newest revision of the specification of a Transformer."""

LONGEST = 1024
"""Tokens of a source, as CTranslate2 cuts them unless it is told otherwise."""

_HEADS = {"": 8, "TransformerBase": 8, "TransformerBig": 16}  # of the specifications before they said it
_ACTIVATIONS: tuple[Activation | None, ...] = ("relu", "gelu_tanh", "silu", "gelu", "quick_gelu", None, None)
_NAMES = ("relu", "gelu_tanh", "swish", "gelu", "gelu_sigmoid", "tanh", "sigmoid")

# What a Transformer of CTranslate2's may have and ours does not, by the end of a variable's name.
_UNSUPPORTED = (
    ("relative_position_keys", "relative positions"),
    ("relative_asymmetric_position_keys", "relative positions"),
    ("relative_attention_bias", "relative positions (T5)"),
    ("rotary_dim", "rotary positions"),
    ("project_in/weight", "a projection of the embeddings"),
    ("final_logit_softcapping", "a cap of the logits"),
    ("q_norm/gamma", "norms of queries and keys"),
    ("v_norm/gamma", "a norm of the values"),
    ("input_layer_norm/gamma", "norms around each sublayer"),
    ("shared_layer_norm/gamma", "sublayers side by side"),
    ("layer_scalar", "a factor of each layer"),
    ("memory_kv/weight", "merged attention"),
    ("layer_norm_use_residual", "norms with a residual weight"),
    ("weight_zero", "weights of AWQ"),
    ("embeddings_1/weight", "more than one source (features)"),
)

_OFF = ("alibi", "sliding_window", "multi_query_attention")  # what must be 0 where it is said

# Variables that describe the model: they are no weights, and read here, or say nothing where they are as here.
_DESCRIBING = re.compile(
    r"((encoder|decoder)/)?(num_heads|pre_norm|activation|embeddings_merge|alignment_(layer|heads))"
    r"|(encoder|decoder)/(scale_embeddings|embeddings/multiply_by_sqrt_depth|start_from_zero_embedding|scale_outputs)"
    r"|(encoder|decoder)/(alibi(_use_positive_positions)?|scale_alibi|sliding_window|multi_query_attention)"
    r"|(encoder|decoder)/layer_\d+/(self_)?attention/(queries_scale|num_heads_kv|head_dim)"
    r"|with_(source|target)_[be]os|user_decoder_start_tokens|(unk|bos|eos)_token"
)
_LAYER = re.compile(r"(encoder|decoder)/layer_(\d{1,6})/")


class SearchConfig(msgspec.Struct, frozen=True):
    """config.json: the tokens of beginning and end, and a number. In models up to version 5 these were variables."""

    unk_token: str = "<unk>"
    bos_token: str = "<s>"
    eos_token: str = "</s>"
    decoder_start_token: str | None = "<s>"
    add_source_bos: bool = False
    add_source_eos: bool = False
    layer_norm_epsilon: Annotated[float, Meta(gt=0.0, lt=1.0)] | None = None
    multi_query_attention: Literal[False] = False
    quantization_type: Literal[0, None] = None

    @classmethod
    def read(cls, folder: Path, file: CTranslate2File) -> SearchConfig:
        """Raises FileNotFoundError or ValueError, naming the file and the key."""
        path = folder / CONFIG_FILE
        if file.version < 6 and not path.exists():
            return cls._of_variables(file)
        if not path.is_file():
            raise FileNotFoundError(
                f"[convert] {path}: no such file, which a model of CTranslate2 has beside model.bin"
            )
        try:
            table = typed.from_json(read_file(path), dict[str, Any])
            known = {name: table[name] for name in cls.__struct_fields__ if name in table}
            config = typed.convert(known, cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"[convert] {path}: {shortened(str(error), 500)}") from None
        if file.version >= 6:
            return config
        tokens = cls._of_variables(file)
        return msgspec.structs.replace(tokens, layer_norm_epsilon=config.layer_norm_epsilon)

    @classmethod
    def _of_variables(cls, file: CTranslate2File) -> SearchConfig:
        unk, bos, eos = (
            file.text(f"{name}_token", token) for name, token in (("unk", "<unk>"), ("bos", "<s>"), ("eos", "</s>"))
        )
        start: str | None = bos if file.scalar("with_target_bos", 1) else eos
        if file.scalar("user_decoder_start_tokens", 0):
            start = None
        source_bos, source_eos = (bool(file.scalar(f"with_source_{name}", 0)) for name in ("bos", "eos"))
        return cls(unk, bos, eos, start, source_bos, source_eos)


class Positions(NamedTuple):
    """kind, spacing, offset: as in `TransformerConfig`. longest: how many there are."""

    kind: Literal["sinusoidal", "sinusoidal-halves", "learned"]
    spacing: Literal["paper", "tensor2tensor"] = "paper"
    offset: int = 0
    longest: int = LONGEST


class Side(NamedTuple):
    """Encoder or decoder: its sizes and choices."""

    layers: int
    width: int
    ffn: int
    heads: int
    pre_norm: bool
    activation: Activation
    scaled: bool
    embedding_norm: bool
    norm_kind: Literal["layer", "rms"]
    gated: bool


def check_kind(file: CTranslate2File) -> None:
    """Raises ValueError for a model that is no translator of a kind that attnkit runs."""
    if file.spec not in (*_HEADS, "TransformerSpec"):
        raise ValueError(
            f"[convert] {file.path}: expected a translation model (TransformerSpec), got {quoted(file.spec)}"
        )
    if file.revision > REVISION:
        raise ValueError(
            f"[convert] {file.path}: expected a revision up to {REVISION} of {file.spec}, got {file.revision:,}, of a "
            "later CTranslate2"
        )
    for name in sorted(file.names()):
        for end, what in _UNSUPPORTED:
            if name.endswith(end) and (name == end or name[-len(end) - 1] == "/"):
                raise ValueError(f"[convert] {file.path}: {what} ({name}): not supported")
    for name in (f"{side}/{end}" for side in ("encoder", "decoder") for end in _OFF):
        if file.scalar(name, 0):
            raise ValueError(f"[convert] {file.path}: {name}: not supported")
    if file.scalar("decoder/scale_outputs", 1) != 1:
        raise ValueError(f"[convert] {file.path}: decoder/scale_outputs other than 1: not supported")
    if file.revision < 5:  # what both sides have stood once
        for side in ("encoder", "decoder"):
            for name in ("num_heads", "pre_norm", "activation", "alignment_layer", "alignment_heads"):
                file.alias(f"{side}/{name}", name)


def is_description(name: str) -> bool:
    """Whether a variable is none of the model's weights."""
    return _DESCRIBING.fullmatch(name) is not None


def embedding_name(file: CTranslate2File, side: str) -> str:
    """Of the weight: those of sources are a list, in newer revisions."""
    listed = f"{side}/embeddings_0/weight"
    return listed if listed in file else f"{side}/embeddings/weight"


def read_side(file: CTranslate2File, side: str) -> Side:
    """Raises ValueError, naming the variable."""
    shape = file.shape(embedding_name(file, side))
    if len(shape) != 2 or not all(shape):
        raise file.other(embedding_name(file, side), "a matrix", quoted(list(shape)))
    width = shape[1]
    heads = _whole(file, f"{side}/num_heads", _HEADS.get(file.spec, 8))
    if heads < 1 or width % heads:
        raise file.other(f"{side}/num_heads", f"a divisor of {width}", str(heads))
    layers = _count_layers(file, side)
    _check_heads(file, side, layers, heads, width)
    first = f"{side}/layer_0"
    ffn = file.shape(f"{first}/ffn/linear_0/weight")
    return Side(
        layers=layers,
        width=width,
        ffn=ffn[0] if len(ffn) == 2 else 0,
        heads=heads,
        pre_norm=bool(file.scalar(f"{side}/pre_norm", 1)),
        activation=_activation(file, side),
        scaled=_is_scaled(file, side, width),
        embedding_norm=f"{side}/layernorm_embedding/gamma" in file,
        norm_kind="layer" if f"{first}/ffn/layer_norm/beta" in file else "rms",
        gated=f"{first}/ffn/linear_0_noact/weight" in file,
    )


def to_transformer(
    file: CTranslate2File, config: SearchConfig, sides: tuple[Side, Side], positions: Positions, **ours: Any
) -> TransformerConfig:
    """The same architecture as one of ours. ours: what depends on vocabularies and shared weights."""
    encoder, decoder = sides
    for name in ("width", "pre_norm", "activation", "scaled", "embedding_norm", "norm_kind", "gated"):
        if getattr(encoder, name) != getattr(decoder, name):
            raise ValueError(
                f"[convert] {file.path}: expected encoder and decoder with the same {name}, got "
                f"{getattr(encoder, name)} and {getattr(decoder, name)}"
            )
    eps = config.layer_norm_epsilon or (1e-5 if encoder.norm_kind == "layer" else 1e-6)
    head, layer = _alignment(file, decoder)
    return TransformerConfig(
        d_model=encoder.width,
        ffn=encoder.ffn,
        heads=encoder.heads,
        decoder_ffn=decoder.ffn if decoder.ffn != encoder.ffn else None,
        decoder_heads=decoder.heads if decoder.heads != encoder.heads else None,
        encoder_layers=encoder.layers,
        decoder_layers=decoder.layers,
        norm="pre" if encoder.pre_norm else "post",
        norm_kind=encoder.norm_kind,
        norm_eps=eps,
        activation=encoder.activation,
        gated=encoder.gated,
        output_bias=ours["tie_embeddings"] != "none",
        scale_embeddings=encoder.scaled,
        embedding_norm=encoder.embedding_norm,
        positions=positions.kind,
        position_spacing=positions.spacing,
        position_offset=positions.offset,
        max_length=positions.longest,
        alignment_head=head,
        alignment_layer=layer,
        **ours,
    )


def read_positions(file: CTranslate2File, width: int) -> Positions:
    """What both sides add to their embeddings: sinusoids, where a table of theirs is one, else trained vectors."""
    found = [_positions_of(file, side, width) for side in ("encoder", "decoder")]
    longest = min(LONGEST, *(each.longest for each in found))
    if found[0][:3] == found[1][:3]:
        return found[0]._replace(longest=longest)
    if all(position_name(side) in file for side in ("encoder", "decoder")):
        return Positions("learned", longest=longest)
    raise ValueError(f"[convert] {file.path}: expected positions of one kind in encoder and decoder, got two")


def position_name(side: str) -> str:
    return f"{side}/position_encodings/encodings"


def _positions_of(file: CTranslate2File, side: str, width: int) -> Positions:
    name = position_name(side)
    if name not in file:  # computed: sines first, counted from 1
        return Positions("sinusoidal-halves", "tensor2tensor", 1)
    shape = file.shape(name)
    if len(shape) != 2 or shape[0] < 2:
        raise file.other(name, f"of shape [positions, {width}]", quoted(list(shape)))
    table = file.floats(name, (shape[0], width))[:LONGEST]
    if file.type(name) != "float32":  # sinusoids that were rounded stay as they are
        return Positions("learned", longest=len(table))
    for halves in (False, True):
        for spacing in ("paper", "tensor2tensor"):
            for offset in (0, 1, 2):
                if all(
                    np.allclose(table[:rows], sinusoids(rows, width, halves, spacing, offset), rtol=0.0, atol=1e-3)
                    for rows in (2, len(table))
                ):
                    return Positions("sinusoidal-halves" if halves else "sinusoidal", spacing, offset, len(table))
    return Positions("learned", longest=len(table))


def _whole(file: CTranslate2File, name: str, default: int) -> int:
    return int(file.scalar(name, default))


def _count_layers(file: CTranslate2File, side: str) -> int:
    found = {int(match[2]) for name in file.names() if (match := _LAYER.match(name)) and match[1] == side}
    if not 1 <= len(found) <= 1000 or max(found) != len(found) - 1:
        raise ValueError(f"[convert] {file.path}: expected layers of the {side}, counted from 0, got {len(found)}")
    return len(found)


def _check_heads(file: CTranslate2File, side: str, layers: int, heads: int, width: int) -> None:
    """Each layer's attention may say that it is another one than usual."""
    usual = {"num_heads_kv": heads, "head_dim": width // heads, "queries_scale": (width // heads) ** -0.5}
    for index in range(layers):
        for part in ("self_attention", "attention"):
            for end, value in usual.items():
                name = f"{side}/layer_{index}/{part}/{end}"
                if not math.isclose(got := file.scalar(name, value), value, rel_tol=1e-3):
                    raise ValueError(f"[convert] {file.path}: {name} = {got:g} instead of {value:g}: not supported")


def _activation(file: CTranslate2File, side: str) -> Activation:
    number = _whole(file, f"{side}/activation", 0)
    activation = _ACTIVATIONS[number] if 0 <= number < len(_ACTIVATIONS) else None
    if activation is None:
        name = _NAMES[number] if 0 <= number < len(_NAMES) else str(number)
        raise ValueError(f"[convert] {file.path}: the activation {name} ({side}/activation): not supported")
    return activation


def _is_scaled(file: CTranslate2File, side: str, width: int) -> bool:
    """Embeddings are multiplied by a flag's √width, or by the number that stands there."""
    name = f"{side}/scale_embeddings"
    if name not in file:
        name = f"{side}/embeddings/multiply_by_sqrt_depth"
    scale = file.scalar(name, 1)
    if name not in file or file.type(name) == "int8":
        return bool(scale)
    if math.isclose(scale, width**0.5, rel_tol=1e-3):
        return True
    if scale != 1.0:
        raise ValueError(f"[convert] {file.path}: embeddings times {scale:g} ({name}): not supported")
    return False


def _alignment(file: CTranslate2File, decoder: Side) -> tuple[int | None, int | None]:
    """The head and the layer that CTranslate2's own attention is of; no head where it is the mean over several."""
    layer = _whole(file, "decoder/alignment_layer", -1)
    layer = decoder.layers + layer if layer < 0 else layer
    if not 0 <= layer < decoder.layers:
        raise file.other("decoder/alignment_layer", f"below {decoder.layers}", str(layer))
    heads = _whole(file, "decoder/alignment_heads", 1)
    return 0 if heads == 1 else None, layer if layer != decoder.layers - 1 else None
