"""WordPiece as BERT's older checkpoints keep it, a vocab.txt with settings beside it, as a tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnkit.interop.hf_config import CONFIG_FILE, read_content, read_table
from attnkit.interop.huggingface.old_tokenizer import (
    SETTINGS_FILE,
    OldSettings,
    add_more,
    add_special,
    check_tokens,
    frame,
    read_added,
    read_settings,
)
from attnkit.text.tokenizers.huggingface import guarded, library

VOCABULARY_FILE = "vocab.txt"
_FAMILIES = ("Bert", "DistilBert", "Electra", "MPNet")
_BERT = {
    "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
}  # fmt: skip
_MPNET = {
    "cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "[UNK]", "mask_token": "<mask>",
}  # fmt: skip


class _Settings(OldSettings, frozen=True):
    """What the file leaves out has the default of Hugging Face transformers."""

    do_lower_case: bool = True
    do_basic_tokenize: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True


def wordpiece_json(folder: Path, named: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The content of a tokenizer.json, and its special tokens by role. named: those that the files beside vocab.txt
    name. Raises ValueError, naming the file, and ModuleNotFoundError without the library `tokenizers`."""
    lib, file = library(), folder / VOCABULARY_FILE
    settings = read_settings(folder, _Settings, _FAMILIES)
    if not settings.do_basic_tokenize:
        raise ValueError(f"[convert] {folder / SETTINGS_FILE}: expected do_basic_tokenize = true, got false")
    entries = _read_entries(file)
    of_mpnet = read_table(folder / CONFIG_FILE).get("model_type") == "mpnet"
    special = {**(_MPNET if of_mpnet else _BERT), **{role: token for role, token in named.items() if role in _BERT}}
    added = read_added(folder)
    check_tokens({**entries, **added}, special, file)

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
        return tokenizer

    tokenizer = guarded(made, str(file))
    add_more(tokenizer, added, folder)
    add_special(lib, tokenizer, special, spaced_mask=of_mpnet)
    frame(lib, tokenizer, special["cls_token"], special["sep_token"])
    return str(tokenizer.to_str()).encode(), special


def _read_entries(file: Path) -> dict[str, int]:
    """The line number of each token; the last one's where it stands twice, as in transformers."""
    try:
        content = read_content(file).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"[convert] {file}: expected UTF-8 ({error.reason} at byte {error.start})") from None
    lines = content.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return {token: number for number, token in enumerate(lines[:-1] if not lines[-1] else lines)}
