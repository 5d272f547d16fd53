"""Random models in Marian's own files, written from the format (attnkit/interop/marian_bin.py, marian_npz.py)."""

from __future__ import annotations

import functools
import io
import json
import re
import struct
import zipfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit.interop.marian_lexicon import MAGIC, checksum_of

Tensors = dict[str, npt.NDArray[np.float32]]

FLOAT32, INT8, TEXT = 0x404, 0x4101, 0x101
STUDENT: dict[str, Any] = {
    "type": "transformer",
    "dim-emb": 16,
    "dim-vocabs": [48, 48],
    "enc-depth": 2,
    "dec-depth": 1,
    "dec-cell": "ssru",
    "transformer-decoder-autoreg": "rnn",
    "transformer-dim-ffn": 24,
    "transformer-ffn-depth": 2,
    "transformer-ffn-activation": "relu",
    "transformer-heads": 2,
    "transformer-preprocess": "",
    "transformer-postprocess": "dan",
    "transformer-postprocess-emb": "d",
    "transformer-postprocess-top": "",
    "tied-embeddings": False,
    "tied-embeddings-all": True,
    "tied-embeddings-src": False,
    "layer-normalization": False,
    "right-left": False,
    "input-types": [],
    "version": "v1.9.56 0000000 2021-04-28 00:28:35 +0100",
}
"""What `special:model.yml` says of a small student. `config` makes others of it."""

PRE_NORM: dict[str, Any] = {
    "transformer-preprocess": "n", "transformer-postprocess": "da", "transformer-postprocess-top": "n",
}  # fmt: skip
SELF_ATTENTION: dict[str, Any] = {"transformer-decoder-autoreg": "self-attention", "dec-cell": "gru"}


def config(**changes: Any) -> dict[str, Any]:
    """`STUDENT` with options changed; an underscore stands for Marian's dash."""
    return STUDENT | {name.replace("_", "-"): value for name, value in changes.items()}


def yaml_of(options: Mapping[str, Any]) -> str:
    """As Marian writes it; what it never writes as JSON, which is YAML."""
    lines = []
    for name, value in options.items():
        key = name if re.fullmatch(r"[a-z][a-z-]*", name) else json.dumps(name)
        if isinstance(value, list) and value:
            lines += [f"{key}:", *(f"  - {_plain(each)}" for each in value)]
        else:
            lines.append(f"{key}: {_plain(value)}")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value if re.fullmatch(r"[\w.-]+( [\w.+:-]+)*", value, re.ASCII) else json.dumps(value)
    return json.dumps(value)


# ----- Models


def random_marian_model(options: Mapping[str, Any], seed: int = 0, legacy_output: bool = False) -> Tensors:
    """A tensor for each name that a Transformer of these options has. Marian keeps an untied output matrix as
    [vocabulary, width], `_Wt`; before version 1.8 as [width, vocabulary], `_W` (`legacy_output`)."""
    rng = np.random.default_rng(seed)
    tensors: Tensors = {}
    for name, shape in tensor_shapes(options, legacy_output):
        if "_ln_scale" in name:
            numbers = rng.normal(1.0, 0.2, shape)
        elif shape[0] == 1:
            numbers = rng.normal(0.0, 0.3, shape)
        else:
            numbers = rng.normal(0.0, 1.0, shape) / np.sqrt(shape[-1] if "W" not in name[-4:] else shape[0])
        tensors[name] = numbers.astype(np.float32)
    return tensors


def tensor_shapes(options: Mapping[str, Any], legacy_output: bool = False) -> Iterator[tuple[str, tuple[int, int]]]:
    """Names and shapes; a matrix is [input, output], a vector [1, width]."""
    d, (source, target) = options["dim-emb"], options["dim-vocabs"]
    shared = options["tied-embeddings-all"] or options["tied-embeddings-src"]
    yield from [("Wemb", (source, d))] if shared else [("encoder_Wemb", (source, d)), ("decoder_Wemb", (target, d))]
    for i in range(1, options["enc-depth"] + 1):
        yield from _attention(f"encoder_l{i}_self", options)
        yield from _feed_forward(f"encoder_l{i}_ffn", options)
    for i in range(1, options["dec-depth"] + 1):
        if options["transformer-decoder-autoreg"] == "rnn":
            yield from _recurrent(f"decoder_l{i}_rnn", options)
        else:
            yield from _attention(f"decoder_l{i}_self", options)
        yield from _attention(f"decoder_l{i}_context", options)
        yield from _feed_forward(f"decoder_l{i}_ffn", options)
    if "n" in options["transformer-postprocess-top"]:
        yield from _norm("encoder_top", d)
        yield from _norm("decoder_top", d)
    if not (options["tied-embeddings"] or options["tied-embeddings-all"]):
        name, shape = ("_W", (d, target)) if legacy_output else ("_Wt", (target, d))
        yield f"decoder_ff_logit_out{name}", shape
    yield "decoder_ff_logit_out_b", (1, target)


def _attention(prefix: str, options: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    d = options["dim-emb"]
    for letter in "qkvo":
        yield f"{prefix}_W{letter}", (d, d)
        yield f"{prefix}_b{letter}", (1, d)
    yield from _norms(f"{prefix}_Wo", f"{prefix}_Wo", options)


def _recurrent(prefix: str, options: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    d = options["dim-emb"]
    yield from ((f"{prefix}_W", (d, d)), (f"{prefix}_Wf", (d, d)), (f"{prefix}_bf", (1, d)))
    yield from _norms(prefix, f"{prefix}_ffn", options)


def _feed_forward(prefix: str, options: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    depth = options["transformer-ffn-depth"]
    widths = [options["dim-emb"], *[options["transformer-dim-ffn"]] * (depth - 1), options["dim-emb"]]
    for i in range(1, depth + 1):
        yield f"{prefix}_W{i}", (widths[i - 1], widths[i])
        yield f"{prefix}_b{i}", (1, widths[i])
    yield from _norms(f"{prefix}_ffn", f"{prefix}_ffn", options)


def _norms(before: str, behind: str, options: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    if "n" in options["transformer-preprocess"]:
        yield from _norm(before, options["dim-emb"], "_pre")
    if "n" in options["transformer-postprocess"]:
        yield from _norm(behind, options["dim-emb"])


def _norm(prefix: str, d: int, end: str = "") -> Iterator[tuple[str, tuple[int, int]]]:
    yield f"{prefix}_ln_scale{end}", (1, d)
    yield f"{prefix}_ln_bias{end}", (1, d)


def matrices(tensors: Tensors) -> list[str]:
    """What Bergamot quantises: all matrices, embeddings among them."""
    return [name for name, tensor in tensors.items() if tensor.shape[0] > 1]


# ----- Files


def write_marian_bin(
    path: Path,
    tensors: Tensors,
    config_yaml: str,
    int8: Collection[str] = (),
    alphas: Mapping[str, float] | None = None,
) -> Tensors:
    """Writes the binary format; returns what its numbers mean, those of `int8` being rounded. alphas: the multiplier of
    a matrix's input, kept beside it."""
    items: list[tuple[str, int, tuple[int, ...], bytes]] = []
    meant: Tensors = {}
    for name in sorted(tensors):
        tensor = tensors[name].astype("<f4")
        if name in int8:
            multiplier = np.float32(127.0 / np.abs(tensor).max())
            numbers = np.clip(np.rint(tensor * multiplier), -127, 127).astype(np.int8)
            meant[name] = numbers.astype(np.float32) / multiplier
            stored = numbers if "Wemb" in name else numbers.T
            items.append((name, INT8, tensor.shape, _padded(stored.tobytes() + multiplier.astype("<f4").tobytes())))
        else:
            meant[name] = tensor
            items.append((name, FLOAT32, tensor.shape, _padded(tensor.tobytes())))
    for name, alpha in (alphas or {}).items():
        items.append((f"{name}_QuantMultA", FLOAT32, (1, 1), _padded(struct.pack("<f", alpha))))
    text = config_yaml.encode() + b"\0"
    path.write_bytes(bin_of([*items, ("special:model.yml", TEXT, (len(text),), text)]))
    return meant


def bin_of(items: list[tuple[str, int, tuple[int, ...], bytes]]) -> bytes:
    """The binary format: (name, type, shape, data) each."""
    names = [name.encode() + b"\0" for name, *_ in items]
    parts = [struct.pack("<2Q", 1, len(items))]
    parts += [
        struct.pack("<4Q", len(name), kind, len(shape), len(data))
        for name, (_, kind, shape, data) in zip(names, items, strict=True)
    ]
    parts += names
    parts += [struct.pack(f"<{len(shape)}i", *shape) for _, _, shape, _ in items]
    place = sum(map(len, parts)) + 8
    padding = -place % 256
    return b"".join([*parts, struct.pack("<Q", padding), bytes(padding), *(data for *_, data in items)])


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 256)


def write_marian_npz(path: Path, tensors: Tensors, config_yaml: str, compressed: bool = False) -> None:
    """NumPy's archive, the configuration in it as characters with a zero at the end."""
    text = np.frombuffer(config_yaml.encode() + b"\0", np.int8)
    write = np.savez_compressed if compressed else np.savez
    write(path, **tensors, **{"special:model.yml": text})


def npz_of(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of any members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def lexicon_of(lists: list[list[int]], first: int = 4, best: int = 3) -> bytes:
    """A binary shortlist: the target words of each source word."""
    offsets = np.cumsum([0, *map(len, lists)]).astype("<u8")
    ids = np.array([each for some in lists for each in some], "<u4")
    body = struct.pack("<4Q", first, best, len(offsets), len(ids)) + offsets.tobytes() + ids.tobytes()
    return struct.pack("<2Q", MAGIC, checksum_of(bytes(16) + body)) + body


# ----- Folders, as they are published


def write_student(
    folder: Path, options: Mapping[str, Any], seed: int = 0, int8: bool = True, said: Mapping[str, Any] | None = None
) -> Tensors:
    """A student of Bergamot's or Mozilla's, with one vocabulary for both languages; returns its tensors as they are
    meant. said: what the model says of itself, where that is not the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = random_marian_model(options, seed)
    quantised = matrices(tensors) if int8 else []
    alphas = {name: 20.0 for name in quantised if "Wemb" not in name} if int8 else {}
    model, vocabulary, lexicon = "model.enit.intgemm.alphas.bin", "vocab.enit.spm", "lex.50.50.enit.s2t.bin"
    meant = write_marian_bin(folder / model, tensors, yaml_of(said or options), quantised, alphas)
    size = options["dim-vocabs"][0]
    (folder / vocabulary).write_bytes(vocabulary_model(size))
    rng = np.random.default_rng(seed)
    lists = [np.unique(rng.integers(0, size, 3)).tolist() for _ in range(size)]
    (folder / lexicon).write_bytes(lexicon_of(lists, first=10))
    settings: dict[str, Any] = {
        "relative-paths": True, "models": [model], "vocabs": [vocabulary, vocabulary], "shortlist": [lexicon, False],
        "beam-size": 1, "normalize": 1.0, "word-penalty": 0, "max-length-factor": 2.5,
        "gemm-precision": "int8shiftAlphaAll",
    }  # fmt: skip
    (folder / "config.intgemm8bitalpha.yml").write_text(yaml_of(settings))
    return meant


def write_opus(
    folder: Path, options: Mapping[str, Any], seed: int = 0, said: Mapping[str, Any] | None = None
) -> Tensors:
    """A release of OPUS-MT: two SentencePiece models, whose pieces have the ids of one vocab.yml."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = random_marian_model(options, seed)
    model, vocabulary = "opus.spm32k-spm32k.transformer-align.model1.npz.best-perplexity.npz", "opus.vocab.yml"
    write_marian_npz(folder / model, tensors, yaml_of(said or options))
    for name in ("source.spm", "target.spm"):
        (folder / name).write_bytes(vocabulary_model(options["dim-vocabs"][0], name.removesuffix(".spm")))
    pieces = ["</s>", "<unk>", *sorted({*_pieces(options, "source"), *_pieces(options, "target")})]
    pieces = (pieces + [f"filler{i}" for i in range(options["dim-vocabs"][0])])[: options["dim-vocabs"][0]]
    (folder / vocabulary).write_text("".join(f"{json.dumps(piece)}: {i}\n" for i, piece in enumerate(pieces)))
    settings: dict[str, Any] = {
        "models": [model], "vocabs": [vocabulary, vocabulary], "beam-size": 6, "normalize": 1, "word-penalty": 0,
        "mini-batch": 1, "maxi-batch": 1, "maxi-batch-sort": "src", "relative-paths": True,
    }  # fmt: skip
    (folder / "decoder.yml").write_text(yaml_of(settings))
    return tensors


def _pieces(options: Mapping[str, Any], side: str) -> list[str]:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=vocabulary_model(options["dim-vocabs"][0], side))
    return [processor.id_to_piece(i) for i in range(2, processor.get_piece_size())]


@functools.cache
def vocabulary_model(size: int, side: str = "both") -> bytes:
    """A SentencePiece model of the built-in corpus as Marian trains one: the end is 0, the unknown piece 1."""
    import sentencepiece

    from attnkit.text import en_it

    pairs = en_it.corpus(train=200, validation=0, test=0, seed=1)["train"]
    lines = [getattr(pair, each) for each in ("source", "target") if side in (each, "both") for pair in pairs]
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=file, vocab_size=size, model_type="unigram", eos_id=0, unk_id=1,
        bos_id=-1, pad_id=-1, minloglevel=2, num_threads=1,
    )  # fmt: skip
    return file.getvalue()
