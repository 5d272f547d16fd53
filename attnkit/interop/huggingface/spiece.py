"""The SentencePiece model of older checkpoints of Pegasus and T5 as a tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from attnkit.interop.hf_config import CONFIG_FILE, read_table
from attnkit.interop.huggingface.old_tokenizer import (
    OldSettings,
    add_more,
    add_special,
    check_tokens,
    read_added,
    read_settings,
)
from attnkit.interop.huggingface.unigram import read_unigrams
from attnkit.printable import quoted
from attnkit.text.tokenizers.huggingface import guarded, library
from attnkit.text.tokenizers.vocabulary import WORD_START

SPIECE_FILE = "spiece.model"
_SPECIAL = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
_OFFSET = 103  # of Pegasus: the entries between </s> and <unk>, which its training alone used
Pieces = list[tuple[str, float]]


class _Settings(OldSettings, frozen=True):
    """extra_ids: of T5, how many tokens of gaps there are."""

    extra_ids: Annotated[int, Meta(ge=0, le=10**4)] = 100


def _of_pegasus(pieces: Pieces, extra: list[str]) -> Pieces:
    between = ["<mask_1>", "<mask_2>", *(f"<unk_{number}>" for number in range(2, _OFFSET))]
    return [*pieces[:2], *((token, 0.0) for token in between), *pieces[2:]]


def _of_t5(pieces: Pieces, extra: list[str]) -> Pieces:
    return [*pieces, *((token, 0.0) for token in extra)]


_LAYOUTS = {"mt5": _of_t5, "pegasus": _of_pegasus, "t5": _of_t5}


def spiece_json(folder: Path, named: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The content of a tokenizer.json, and its special tokens by role. named: those that the files beside the model
    name. Raises ValueError, naming the file, and ModuleNotFoundError without the library `tokenizers`."""
    lib, file = library(), folder / SPIECE_FILE
    model_type = read_table(folder / CONFIG_FILE).get("model_type")
    if model_type not in _LAYOUTS:
        raise ValueError(
            f"[convert] {file}: expected a tokenizer.json beside it, as transformers' save_pretrained writes it, for a "
            f"model_type of {quoted(model_type)}"
        )
    settings = read_settings(folder, _Settings, ("Pegasus", "T5", "MT5"))
    own, charsmap = read_unigrams(file)
    # The last one first.
    extra = (
        [f"<extra_id_{number}>" for number in reversed(range(settings.extra_ids))] if model_type != "pegasus" else []
    )
    pieces = _LAYOUTS[model_type](own, extra)
    names = [piece for piece, _ in pieces]
    special, added = {**_SPECIAL, **named}, read_added(folder)
    check_tokens({**dict.fromkeys(names, 0), **added}, special, file)

    def made() -> Any:
        tokenizer = lib.Tokenizer(lib.models.Unigram(pieces, unk_id=names.index(special["unk_token"])))
        spaces = lib.normalizers.Replace(lib.Regex(" {2,}"), " ")
        parts = [lib.normalizers.Precompiled(charsmap), spaces] if charsmap else [spaces]
        tokenizer.normalizer = lib.normalizers.Sequence(parts)
        cut = lib.pre_tokenizers
        words = cut.Metaspace(replacement=WORD_START, prepend_scheme="always")
        tokenizer.pre_tokenizer = cut.Sequence([cut.WhitespaceSplit(), words])
        tokenizer.decoder = lib.decoders.Metaspace(replacement=WORD_START, prepend_scheme="always")
        return tokenizer

    tokenizer = guarded(made, str(file))
    add_more(tokenizer, added, folder)
    add_special(lib, tokenizer, special | dict(zip(extra, extra, strict=True)), spaced_mask=False)
    end = special["eos_token"]
    tokenizer.post_processor = lib.processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    return str(tokenizer.to_str()).encode(), special
