"""The SentencePiece model of SigLIP as a tokenizer.json: small letters, without punctuation."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path

from attnkit.interop.huggingface.old_tokenizer import (
    OldSettings,
    add_more,
    add_special,
    check_tokens,
    read_added,
    read_settings,
)
from attnkit.interop.huggingface.spiece import SPIECE_FILE
from attnkit.interop.huggingface.unigram import read_unigrams, unigram_tokenizer
from attnkit.text.tokenizers.huggingface import library

_SPECIAL = {"pad_token": "</s>", "eos_token": "</s>", "unk_token": "<unk>"}


class _Settings(OldSettings, frozen=True):
    do_lower_case: bool = True


def siglip_json(folder: Path, named: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The content of a tokenizer.json, and its special tokens by role. named: those that the files beside the model
    name. Raises ValueError, naming the file, and ModuleNotFoundError without the library `tokenizers`."""
    lib, file = library(), folder / SPIECE_FILE
    settings = read_settings(folder, _Settings, ("Siglip",))
    pieces, charsmap = read_unigrams(file)
    special, added = {**_SPECIAL, **named}, read_added(folder)
    names = [piece for piece, _ in pieces]
    check_tokens({**dict.fromkeys(names, 0), **added}, special, file)
    tokenizer = unigram_tokenizer(lib, file, pieces, names.index(special["unk_token"]), charsmap, single_spaces=True)
    marks = "".join(f"\\{mark}" for mark in string.punctuation)
    steps = [
        *([lib.normalizers.Lowercase()] if settings.do_lower_case else []),
        lib.normalizers.Replace(lib.Regex(f"[{marks}]"), ""),
        lib.normalizers.Replace(lib.Regex(r"\s+"), " "),
        lib.normalizers.Strip(),
    ]
    tokenizer.normalizer = lib.normalizers.Sequence([*steps, tokenizer.normalizer])
    add_more(tokenizer, added, folder)
    add_special(lib, tokenizer, special, spaced_mask=False)
    end = special["eos_token"]
    tokenizer.post_processor = lib.processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    return str(tokenizer.to_str()).encode(), special
