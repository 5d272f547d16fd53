"""Random models in CTranslate2's own files, written from the format (attnkit/interop/ctranslate2_file.py)."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from marian_files import vocabulary_model

from attnkit.nn.positions import sinusoids

Variables = dict[str, npt.NDArray[Any]]

TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
RELU, GELU_TANH, SWISH, GELU, GELU_SIGMOID, TANH = range(6)


class Shape(NamedTuple):
    """The choices of a random model; the rows are those of the embeddings of sources and targets."""

    rows: tuple[int, int] = (96, 96)
    width: int = 16
    ffn: tuple[int, int] = (32, 32)
    heads: tuple[int, int] = (2, 2)
    layers: tuple[int, int] = (2, 2)
    pre_norm: bool = True
    activation: int = RELU
    tie: str = "none"  # none, decoder, all
    zero_start: bool = False
    positions: str = "computed"  # paper, halves, learned
    scale: float | bool | None = True
    embedding_norm: bool = False
    rms: bool = False
    gated: bool = False
    biases: bool = True
    alignment: tuple[int, int] = (-1, 1)  # layer, heads
    end: float = 0.0  # how much likelier the end token is
    seed: int = 0


# ----- Variables


def random_model(shape: Shape) -> tuple[Variables, dict[str, str]]:
    """The variables of revision 7, float32, and the aliases of those that are tied."""
    rng = np.random.default_rng(shape.seed)
    variables: Variables = {}
    for name, size in _weights(shape):
        if name.endswith("gamma"):
            numbers = rng.normal(1.0, 0.2, size)
        elif len(size) == 1:
            numbers = rng.normal(0.0, 0.3, size)
        else:
            numbers = rng.normal(0.0, 1.0, size) / np.sqrt(size[-1])
        variables[name] = numbers.astype(np.float32)
    if shape.end:
        variables["decoder/projection/bias"][SPECIAL.index("</s>")] += shape.end
    for index, side in enumerate(("encoder", "decoder")):
        variables |= _description(side, index, shape)
        if (table := _positions(shape, rng)) is not None:
            variables[f"{side}/position_encodings/encodings"] = table
    layer, heads = shape.alignment
    variables |= {"decoder/alignment_layer": np.int16(layer), "decoder/alignment_heads": np.int16(heads)}
    variables["decoder/start_from_zero_embedding"] = np.int8(shape.zero_start)
    aliases: dict[str, str] = {}
    if shape.tie != "none":
        aliases["decoder/projection/weight"] = "decoder/embeddings/weight"
    if shape.tie == "all":
        aliases["encoder/embeddings_0/weight"] = "decoder/embeddings/weight"
    return {name: np.asarray(array) for name, array in variables.items() if name not in aliases}, aliases


def _description(side: str, index: int, shape: Shape) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{side}/num_heads": np.int16(shape.heads[index]),
        f"{side}/pre_norm": np.int8(shape.pre_norm),
        f"{side}/activation": np.int8(shape.activation),
    }
    if isinstance(shape.scale, bool):
        found[f"{side}/scale_embeddings"] = np.int8(shape.scale)
    elif shape.scale is not None:
        found[f"{side}/scale_embeddings"] = np.float32(shape.scale)
    return found


def _positions(shape: Shape, rng: np.random.Generator) -> npt.NDArray[np.float32] | None:
    if shape.positions == "computed":
        return None
    if shape.positions == "learned":
        return rng.normal(0.0, 0.5, (64, shape.width)).astype(np.float32)
    return sinusoids(80, shape.width, halves=shape.positions == "halves")


def _weights(shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = shape.width
    yield "encoder/embeddings_0/weight", (shape.rows[0], d)
    yield "decoder/embeddings/weight", (shape.rows[1], d)
    yield "decoder/projection/weight", (shape.rows[1], d)
    if shape.biases:
        yield "decoder/projection/bias", (shape.rows[1],)
    for index, side in enumerate(("encoder", "decoder")):
        if shape.pre_norm:
            yield from _norm(f"{side}/layer_norm", shape)
        if shape.embedding_norm:
            yield from _norm(f"{side}/layernorm_embedding", shape)
        for layer in range(shape.layers[index]):
            yield from _layer(f"{side}/layer_{layer}", shape, shape.ffn[index], decodes=side == "decoder")


def _layer(prefix: str, shape: Shape, ffn: int, decodes: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    d = shape.width
    sizes = {"self_attention/linear_0": (3 * d, d), "self_attention/linear_1": (d, d)}
    if decodes:
        sizes |= {"attention/linear_0": (d, d), "attention/linear_1": (2 * d, d), "attention/linear_2": (d, d)}
    sizes |= {"ffn/linear_0": (ffn, d), "ffn/linear_1": (d, ffn)}
    if shape.gated:
        sizes["ffn/linear_0_noact"] = (ffn, d)
    for name, size in sizes.items():
        yield f"{prefix}/{name}/weight", size
        if shape.biases:
            yield f"{prefix}/{name}/bias", size[:1]
    for name in ("self_attention", "attention", "ffn") if decodes else ("self_attention", "ffn"):
        yield from _norm(f"{prefix}/{name}/layer_norm", shape)


def _norm(name: str, shape: Shape) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}/gamma", (shape.width,)
    if not shape.rms:
        yield f"{name}/beta", (shape.width,)


def quantised(variables: Variables, kind: str) -> Variables:
    """As the converters write the types of weights; bfloat16 are its bits, of type uint16."""
    made: Variables = {}
    for name, array in variables.items():
        if array.ndim == 0 or array.dtype != np.float32:
            made[name] = array
        elif kind == "int8" and name.endswith("weight"):
            scales = np.float32(127.0) / np.abs(array).max(axis=1)
            made[name] = np.rint(array * scales[:, None]).astype(np.int8)
            made[f"{name}_scale"] = scales
        elif kind == "int16" and name.endswith("weight"):
            scale = np.float32(2**10 / np.abs(array).max())
            made[name] = np.rint(array * scale).astype(np.int16)
            made[f"{name}_scale"] = np.asarray(scale)
        elif kind == "float16":
            made[name] = array.astype(np.float16)
        elif kind == "bfloat16":
            made[name] = ((array.view(np.uint32) + 0x8000) >> 16).astype(np.uint16)
        else:
            made[name] = array
    return made


def renamed(variables: Variables, revision: int) -> Variables:
    """The variables under the names, and with what describes the model, of an older revision."""
    made: Variables = {}
    for name, array in variables.items():
        old = name.replace("embeddings_0", "embeddings") if revision < 6 else name
        side, _, rest = name.partition("/")
        if revision < 5 and rest in ("num_heads", "pre_norm", "activation", "alignment_layer", "alignment_heads"):
            if side == "decoder" and not (revision < 3 and rest == "num_heads"):
                made[rest] = array
            continue
        made[_first_name(old) if revision == 1 and array.ndim else old] = array
    return made


def _first_name(name: str) -> str:
    """Revision 1 had the names of OpenNMT-tf."""
    decodes = name.startswith("decoder")
    name = name.replace("layer_norm", "LayerNorm").replace("embeddings/weight", "w_embs")
    name = name.replace("projection", "dense").replace("weight", "kernel")
    if decodes:
        name = name.replace("self_attention", "masked_multi_head").replace("/attention", "/multi_head")
    else:
        name = name.replace("self_attention", "multi_head")
    return f"transformer/{name.replace('linear_0', 'conv1d').replace('linear_', 'conv1d_')}:0"


# ----- Files


def bin_of(
    variables: Variables,
    aliases: Mapping[str, str] | None = None,
    version: int = 6,
    spec: str = "TransformerSpec",
    revision: int = 7,
) -> bytes:
    """model.bin."""
    parts = [struct.pack("<I", version)]
    if version >= 2:
        parts += [text_of(spec), struct.pack("<I", revision)]
    parts.append(struct.pack("<I", len(variables)))
    for name in sorted(variables):
        array = np.asarray(variables[name])
        kind = "bfloat16" if array.dtype == np.uint16 else array.dtype.name
        parts += [text_of(name), struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)]
        if version >= 4:
            parts.append(struct.pack("<BI", TYPES.index(kind), array.nbytes))
        else:
            parts.append(struct.pack("<BI", array.itemsize, array.size))
        parts.append(array.tobytes())
    if version >= 3:
        pairs = sorted((aliases or {}).items())
        parts.append(struct.pack("<I", len(pairs)))
        parts += [text_of(each) for pair in pairs for each in pair]
    return b"".join(parts)


def text_of(text: str) -> bytes:
    return struct.pack("<H", len(text.encode()) + 1) + text.encode() + b"\0"


def text_variable(text: str) -> npt.NDArray[np.int8]:
    return np.frombuffer(text.encode(), np.int8)


# ----- Folders, as they are published

SPECIAL = ("<unk>", "<blank>", "<s>", "</s>")


def vocabulary(rows: int, side: str = "both") -> list[str]:
    """The tokens of a model of OpenNMT-py's."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=spm(side))
    pieces = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    tokens = [*SPECIAL, *(piece for piece in pieces if piece not in SPECIAL)]
    return (tokens + [f"filler{i}" for i in range(rows)])[:rows]


def spm(side: str = "both") -> bytes:
    return vocabulary_model(80, side)


def write_folder(
    folder: Path,
    shape: Shape,
    kind: str = "float32",
    form: str = "json",
    tokenizer: bool = True,
    **config: Any,
) -> None:
    """One of CTranslate2's directories, with a SentencePiece model beside it. form: of the vocabularies, "json" or
    "txt". They are shared where the rows are as many. config: what config.json says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    variables, aliases = random_model(shape)
    (folder / "model.bin").write_bytes(bin_of(quantised(variables, kind), aliases))
    write_config(folder, **config)
    write_vocabularies(folder, shape.rows, form)
    if tokenizer:
        (folder / "sentencepiece.model").write_bytes(spm())


def write_config(folder: Path, **config: Any) -> None:
    settings = {
        "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "decoder_start_token": "<s>",
        "add_source_bos": False, "add_source_eos": False, "layer_norm_epsilon": None, "multi_query_attention": False,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(settings | config))


def write_vocabularies(folder: Path, rows: tuple[int, int], form: str = "json") -> None:
    sides = {"shared": rows[0]} if rows[0] == rows[1] else {"source": rows[0], "target": rows[1]}
    for side, count in sides.items():
        write_vocabulary(folder / f"{side}_vocabulary.{form}", vocabulary(count))


def write_vocabulary(path: Path, tokens: Sequence[str]) -> None:
    if path.suffix == ".json":
        path.write_text(json.dumps(list(tokens)), "utf-8")
    else:
        path.write_bytes("".join(f"{token}\n" for token in tokens).encode())


def write_package(path: Path, shape: Shape, kind: str = "int8", **metadata: Any) -> None:
    """A package of Argos Translate's, and beside it, unpacked, its folder."""
    folder = path.parent / path.stem
    write_folder(folder / "model", shape, kind, "txt", tokenizer=False)
    (folder / "sentencepiece.model").write_bytes(spm())
    (folder / "stanza").mkdir()
    (folder / "stanza" / "en.pt").write_bytes(b"not read")
    settings = {"package_version": "1.0", "argos_version": "1.0", "from_code": "en", "to_code": "it"}
    (folder / "metadata.json").write_text(json.dumps(settings | metadata))
    path.write_bytes(zip_of({f"{path.stem}/{file.relative_to(folder)}": file.read_bytes() for file in _files(folder)}))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def zip_of(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)  # without the time
    return file.getvalue()
