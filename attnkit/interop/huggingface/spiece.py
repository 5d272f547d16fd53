"""The SentencePiece model of older checkpoints of Pegasus and T5 as a tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from attnkit.interop.huggingface.old_tokenizer import (
    OldSettings,
    add_more,
    add_special,
    check_tokens,
    read_added,
    read_settings,
)
from attnkit.interop.huggingface.unigram import known_family, read_unigrams, unigram_tokenizer
from attnkit.text.tokenizers.huggingface import library

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
    model_type = known_family(file, _LAYOUTS)
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
    unk_id = names.index(special["unk_token"])
    tokenizer = unigram_tokenizer(lib, file, pieces, unk_id, charsmap, single_spaces=True)
    add_more(tokenizer, added, folder)
    add_special(lib, tokenizer, special | dict(zip(extra, extra, strict=True)), spaced_mask=False)
    end = special["eos_token"]
    tokenizer.post_processor = lib.processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    return str(tokenizer.to_str()).encode(), special
