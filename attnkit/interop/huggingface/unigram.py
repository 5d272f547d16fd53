"""The SentencePiece model of XLM-RoBERTa's and CamemBERT's older checkpoints as a tokenizer.json."""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from attnkit.interop.hf_config import CONFIG_FILE, read_content, read_table
from attnkit.interop.huggingface.old_tokenizer import (
    OldSettings,
    add_more,
    add_special,
    check_tokens,
    frame,
    read_added,
    read_settings,
)
from attnkit.printable import quoted
from attnkit.text.tokenizers.huggingface import guarded, library
from attnkit.text.tokenizers.sentencepiece_file import read_processor
from attnkit.text.tokenizers.vocabulary import WORD_START

SENTENCEPIECE_FILE = "sentencepiece.bpe.model"  # the name that all have, though its pieces are no merges
_UNIGRAM = 1  # of SentencePiece's TrainerSpec, which says nothing where it is this
_SPECIAL = {
    "bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>",
    "unk_token": "<unk>", "mask_token": "<mask>",
}  # fmt: skip


class _Layout(NamedTuple):
    """first: the entries before the model's pieces, of which `skipped` are left out."""

    first: tuple[tuple[str, float], ...]
    skipped: int


# fairseq's own entries come first, the model's names of the same behind them where they are not left out.
_LAYOUTS = {
    "xlm-roberta": _Layout((("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)), 3),
    "camembert": _Layout(
        (("<s>NOTUSED", 0.0), ("<pad>", 0.0), ("</s>NOTUSED", 0.0), ("<unk>", 0.0), ("<unk>NOTUSED", -100.0)), 1
    ),
}


def unigram_json(folder: Path, named: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The content of a tokenizer.json, and its special tokens by role. named: those that the files beside the model
    name. Raises ValueError, naming the file, and ModuleNotFoundError without the library `tokenizers`."""
    lib, file = library(), folder / SENTENCEPIECE_FILE
    model_type = known_family(file, _LAYOUTS)
    read_settings(folder, OldSettings, ("XLMRoberta", "Camembert"))
    pieces, charsmap = _read_model(file, _LAYOUTS[model_type])
    special, added = {**_SPECIAL, **named}, read_added(folder)
    check_tokens({**dict.fromkeys((piece for piece, _ in pieces), 0), **added}, special, file)
    tokenizer = unigram_tokenizer(lib, file, pieces, 3, charsmap)
    add_more(tokenizer, added, folder)
    add_special(lib, tokenizer, special, spaced_mask=True)
    frame(lib, tokenizer, special["cls_token"], special["sep_token"])
    return str(tokenizer.to_str()).encode(), special


def known_family(file: Path, known: Container[str]) -> str:
    """The model_type of the checkpoint that the file belongs to. Raises ValueError for one whose SentencePiece model is
    numbered in another way than `known` says."""
    model_type = read_table(file.parent / CONFIG_FILE).get("model_type")
    if not isinstance(model_type, str) or model_type not in known:
        raise ValueError(
            f"[convert] {file}: expected a tokenizer.json beside it, as transformers' save_pretrained writes it, for a "
            f"model_type of {quoted(model_type)}"
        )
    return model_type


def unigram_tokenizer(
    lib: Any, file: Path, pieces: list[tuple[str, float]], unk_id: int, charsmap: bytes, single_spaces: bool = False
) -> Any:
    """A tokenizer of the library `lib` of these pieces, which cuts at white space and marks the start of words.

    charsmap: the table by which SentencePiece normalises. single_spaces: several become one. Raises ValueError, naming
    the file.
    """

    def made() -> Any:
        tokenizer = lib.Tokenizer(lib.models.Unigram(pieces, unk_id=unk_id, byte_fallback=False))
        parts = [lib.normalizers.Precompiled(charsmap)] if charsmap else []
        parts += [lib.normalizers.Replace(lib.Regex(" {2,}"), " ")] if single_spaces else []
        if parts:
            tokenizer.normalizer = lib.normalizers.Sequence(parts)
        cut = lib.pre_tokenizers
        words = cut.Metaspace(replacement=WORD_START, prepend_scheme="always")
        tokenizer.pre_tokenizer = cut.Sequence([cut.WhitespaceSplit(), words])
        tokenizer.decoder = lib.decoders.Metaspace(replacement=WORD_START, prepend_scheme="always")
        return tokenizer

    return guarded(made, str(file))


def _read_model(file: Path, layout: _Layout) -> tuple[list[tuple[str, float]], bytes]:
    """The vocabulary with its scores, and the table by which SentencePiece normalises."""
    pieces, charsmap = read_unigrams(file)
    return [*layout.first, *pieces[layout.skipped :], ("<mask>", 0.0)], charsmap


def read_unigrams(file: Path) -> tuple[list[tuple[str, float]], bytes]:
    """The pieces of a SentencePiece model with their scores, and the table by which it normalises. Raises ValueError,
    naming the file, for a model of another kind."""
    content = read_content(file)
    processor = read_processor(content, str(file))
    model = _fields(content)
    kind = _fields(model.get(2, b"")).get(3, _UNIGRAM)
    if kind != _UNIGRAM:
        raise ValueError(f"[convert] {file}: expected a model of unigrams, got another kind of SentencePiece's")
    own = range(processor.vocab_size())
    pieces = [(str(processor.id_to_piece(number)), float(processor.get_score(number))) for number in own]
    return pieces, _fields(model.get(3, b"")).get(2, b"")


def _fields(content: bytes) -> dict[int, Any]:
    """The fields of a message of protobuf's by number, the last of each: numbers as they are, all others as bytes. The
    message is one that SentencePiece has read."""
    found: dict[int, Any] = {}
    place = 0
    while place < len(content):
        key, place = _varint(content, place)
        kind = key & 7
        if kind == 0:
            found[key >> 3], place = _varint(content, place)
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            size, place = _varint(content, place)
        found[key >> 3] = content[place : place + size]
        place += size
    return found


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    value = shift = 0
    while True:
        byte = content[place] if place < len(content) else 0
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
