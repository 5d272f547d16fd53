"""The BPE of CLIP, whose words end in </w>, of vocab.json and merges.txt, as a tokenizer.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attnkit.interop.huggingface.byte_level_bpe import BPE_VOCABULARY_FILE, MERGES_FILE, read_entries, read_merges
from attnkit.interop.huggingface.old_tokenizer import (
    OldSettings,
    add_more,
    add_special,
    check_tokens,
    frame,
    read_added,
    read_settings,
)
from attnkit.text.tokenizers.huggingface import guarded, library

_START, _END = "<|startoftext|>", "<|endoftext|>"
_SPECIAL = {"bos_token": _START, "eos_token": _END, "unk_token": _END}
# Special tokens, English endings, letters that stand together, each digit by itself, and other signs that stand
# together.
_WORDS = "|".join(
    [re.escape(_START), re.escape(_END), r"'s|'t|'re|'ve|'m|'ll|'d", r"[\p{L}]+", r"[\p{N}]", r"[^\s\p{L}\p{N}]+"]
)


def clip_json(folder: Path, named: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """As `byte_level_json`, of CLIP: texts in lower case, between a start and an end."""
    lib, file = library(), folder / BPE_VOCABULARY_FILE
    read_settings(folder, OldSettings, ("CLIP",))
    entries, merges = read_entries(file), read_merges(folder / MERGES_FILE)
    special = {**_SPECIAL, **named}
    added = read_added(folder)
    check_tokens({**entries, **added}, special, file)

    def made() -> Any:
        model = lib.models.BPE(
            entries, merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=special["unk_token"]
        )
        tokenizer = lib.Tokenizer(model)
        normalizers, cuts = lib.normalizers, lib.pre_tokenizers
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(lib.Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        words = cuts.Split(lib.Regex(_WORDS), behavior="removed", invert=True)
        tokenizer.pre_tokenizer = cuts.Sequence([words, cuts.ByteLevel(add_prefix_space=False)])
        tokenizer.decoder = lib.decoders.ByteLevel()
        return tokenizer

    tokenizer = guarded(made, str(file))
    add_more(tokenizer, added, folder)
    add_special(lib, tokenizer, special, spaced_mask=False)
    frame(lib, tokenizer, special["bos_token"], special["eos_token"])
    return str(tokenizer.to_str()).encode(), special
