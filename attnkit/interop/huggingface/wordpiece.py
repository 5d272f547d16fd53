"""WordPiece as BERT's older checkpoints keep it, a vocab.txt with settings beside it, as a tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from attnkit import typed
from attnkit.interop.hf_config import CONFIG_FILE, read_content, read_table
from attnkit.printable import quoted

VOCABULARY_FILE = "vocab.txt"
_SETTINGS, _ADDED = "tokenizer_config.json", "added_tokens.json"
_CLASSES = frozenset(
    f"{family}Tokenizer{kind}" for family in ("Bert", "DistilBert", "Electra", "MPNet") for kind in ("", "Fast")
)
_BERT = {
    "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
}  # fmt: skip
_MPNET = {
    "cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "[UNK]", "mask_token": "<mask>",
}  # fmt: skip


class _Settings(msgspec.Struct, frozen=True):
    """Of tokenizer_config.json; what it leaves out has the default of Hugging Face transformers."""

    tokenizer_class: str | None = None
    do_lower_case: bool = True
    do_basic_tokenize: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True


def wordpiece_json(folder: Path, named: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The content of a tokenizer.json, and its special tokens by role. named: those that the files beside vocab.txt
    name. Raises ValueError, naming the file, and ModuleNotFoundError without the library `tokenizers`."""
    from attnkit.text.tokenizers.huggingface import guarded, library

    lib, file = library(), folder / VOCABULARY_FILE
    settings = _read_settings(folder)
    entries = _read_entries(file)
    of_mpnet = read_table(folder / CONFIG_FILE).get("model_type") == "mpnet"
    special = {**(_MPNET if of_mpnet else _BERT), **named}
    special = {role: token for role, token in special.items() if token in entries or role in _BERT}
    if (bad := next((token for token in special.values() if token not in entries), None)) is not None:
        raise ValueError(f"[convert] {file}: expected a line for the token {quoted(bad)}, got none")

    def made() -> Any:
        tokenizer = lib.Tokenizer(lib.models.WordPiece(entries, unk_token=special["unk_token"]))
        tokenizer.normalizer = lib.normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=settings.tokenize_chinese_chars,
            strip_accents=settings.strip_accents,
            lowercase=settings.do_lower_case,
        )
        tokenizer.pre_tokenizer = lib.pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = lib.decoders.WordPiece(prefix="##")
        first, last = special["cls_token"], special["sep_token"]
        tokenizer.post_processor = lib.processors.TemplateProcessing(
            single=f"{first} $A {last}", special_tokens=[(first, entries[first]), (last, entries[last])]
        )
        for role, token in special.items():
            lstrip = of_mpnet and role == "mask_token"
            tokenizer.add_special_tokens([lib.AddedToken(token, lstrip=lstrip, normalized=False, special=True)])
        return tokenizer

    tokenizer = guarded(made, str(file))
    _add(tokenizer, folder)
    return str(tokenizer.to_str()).encode(), special


def _read_settings(folder: Path) -> _Settings:
    file = folder / _SETTINGS
    table = read_table(file) if file.exists() else {}
    try:
        settings = typed.convert(table, _Settings)
    except msgspec.ValidationError as error:
        raise ValueError(f"[convert] {file}: {error}") from None
    if settings.tokenizer_class is not None and settings.tokenizer_class not in _CLASSES:
        raise ValueError(
            f"[convert] {file}: expected a tokenizer.json, or the tokenizer_class BertTokenizer, got "
            f"{quoted(settings.tokenizer_class)}"
        )
    if not settings.do_basic_tokenize:
        raise ValueError(f"[convert] {file}: expected do_basic_tokenize = true, got false")
    return settings


def _read_entries(file: Path) -> dict[str, int]:
    """The line number of each token; the last one's where it stands twice, as in transformers."""
    try:
        content = read_content(file).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"[convert] {file}: expected UTF-8 ({error.reason} at byte {error.start})") from None
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return {token: number for number, token in enumerate(lines[:-1] if not lines[-1] else lines)}


def _add(tokenizer: Any, folder: Path) -> None:
    """The tokens of added_tokens.json, which have the numbers behind the vocabulary."""
    file = folder / _ADDED
    if not file.exists():
        return
    for token, number in sorted(read_table(file).items(), key=lambda each: str(each[1]).zfill(20)):
        if tokenizer.token_to_id(token) is None:
            tokenizer.add_tokens([token])
        if (got := tokenizer.token_to_id(token)) != number:
            raise ValueError(f"[convert] {file}: expected {quoted(token)} to be {got}, got {quoted(number)}")
