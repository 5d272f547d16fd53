"""Byte-level BPE as older checkpoints of GPT-2's and RoBERTa's kind keep it, vocab.json and merges.txt, as a
tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnkit.interop.hf_config import read_content, read_table
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

BPE_VOCABULARY_FILE, MERGES_FILE = "vocab.json", "merges.txt"
_FAMILIES = ("Roberta", "GPT2", "Bart")
_ROBERTA = {
    "bos_token": "<s>", "cls_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "sep_token": "</s>",
    "unk_token": "<unk>", "mask_token": "<mask>",
}  # fmt: skip
_GPT2 = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
_FRAMED = "<s>", "</s>"  # a vocabulary that has both is of RoBERTa's kind, whose texts stand between them


class _Settings(OldSettings, frozen=True):
    add_prefix_space: bool = False


def byte_level_json(folder: Path, named: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The content of a tokenizer.json, and its special tokens by role. named: those that the files beside the
    vocabulary name. Raises ValueError, naming the file, and ModuleNotFoundError without the library `tokenizers`."""
    lib, file = library(), folder / BPE_VOCABULARY_FILE
    settings = read_settings(folder, _Settings, _FAMILIES)
    entries, merges = read_entries(file), read_merges(folder / MERGES_FILE)
    framed = all(token in entries for token in _FRAMED)
    special = {**(_ROBERTA if framed else _GPT2), **named}
    added = read_added(folder)
    check_tokens({**entries, **added}, special, file)

    def made() -> Any:
        tokenizer = lib.Tokenizer(lib.models.BPE(entries, merges))
        tokenizer.pre_tokenizer = lib.pre_tokenizers.ByteLevel(add_prefix_space=settings.add_prefix_space)
        tokenizer.decoder = lib.decoders.ByteLevel()
        return tokenizer

    tokenizer = guarded(made, str(file))
    add_more(tokenizer, added, folder)
    add_special(lib, tokenizer, special, spaced_mask=True)
    if framed:
        frame(lib, tokenizer, special["cls_token"], special["sep_token"])
    return str(tokenizer.to_str()).encode(), special


def read_entries(file: Path) -> dict[str, int]:
    """The vocabulary, pieces by number. Raises ValueError, naming the file."""
    table = read_table(file)
    for piece, number in table.items():
        if type(number) is not int or not 0 <= number < 2**31:
            raise ValueError(f"[convert] {file}: expected a number for each piece, got {quoted(number)}")
        if not piece:
            raise ValueError(f"[convert] {file}: expected pieces, got an empty one")
    return table


def read_merges(file: Path) -> list[tuple[str, str]]:
    """What stands on a line is put together, earlier lines first; the first line may name a version."""
    if not file.is_file():
        raise FileNotFoundError(f"[convert] {file}: no such file; {file.parent} is no whole checkpoint")
    try:
        lines = read_content(file).decode().split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"[convert] {file}: expected UTF-8 ({error.reason} at byte {error.start})") from None
    merges = []
    for number, line in enumerate(lines, start=1):
        if (number == 1 and line.startswith("#version")) or not line.strip():
            continue
        pair = line.rstrip("\r").split(" ")
        if len(pair) != 2:
            raise ValueError(f"[convert] {file}: expected two pieces in line {number}, got {quoted(line)}")
        merges.append((pair[0], pair[1]))
    return merges
