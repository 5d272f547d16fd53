"""The tokenizer of a checkpoint: its tokenizer.json, or one made of the older files that say the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from attnkit.interop.hf_config import read_content, read_table
from attnkit.interop.huggingface.byte_level_bpe import BPE_VOCABULARY_FILE, MERGES_FILE, byte_level_json
from attnkit.interop.huggingface.spiece import SPIECE_FILE, spiece_json
from attnkit.interop.huggingface.unigram import SENTENCEPIECE_FILE, unigram_json
from attnkit.interop.huggingface.wordpiece import VOCABULARY_FILE, wordpiece_json
from attnkit.text.tokenizers.huggingface import HuggingFaceTokenizer
from attnkit.text.tokenizers.pair import TokenizerPair

TOKENIZER_FILE, _SETTINGS, _SPECIAL = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"


class TextTokenizer(NamedTuple):
    """tokenizers: as a model directory keeps them. bos_id, eos_id: what stands before a text and behind it. pad_id:
    what fills texts up."""

    tokenizers: TokenizerPair
    bos_id: int | None
    eos_id: int | None
    pad_id: int | None = None

    def lowercased(self) -> TextTokenizer:
        """The same for texts that are put into small letters first."""
        pair = self.tokenizers
        assert isinstance(pair.source, HuggingFaceTokenizer)
        tokenizer = pair.source.lowercased()
        return self._replace(tokenizers=pair._replace(source=tokenizer, target=tokenizer, lowercase=True))

    def framed(self) -> TokenizerPair:
        """The tokenizers of an encoder-decoder, where that of the sources puts these tokens around a text."""
        pair = self.tokenizers
        assert isinstance(pair.source, HuggingFaceTokenizer)
        before, behind = ((token,) if token is not None else () for token in (self.bos_id, self.eos_id))
        both = pair.source.framed((before, behind))
        return pair._replace(source=both, target=both)


Maker: TypeAlias = Callable[[Path, Mapping[str, str]], tuple[bytes, dict[str, str]]]


def read_text_tokenizer(
    folder: Path, entries: int, bpe: Maker = byte_level_json, first: Maker | None = None
) -> TextTokenizer:
    """entries: how many the model has. bpe: what makes a tokenizer.json of vocab.json and merges.txt. first: of files
    that are to be read before a tokenizer.json that is there.

    Raises FileNotFoundError or ValueError, naming the file, and ModuleNotFoundError without the library `tokenizers`.
    """
    file, content, special = _content(folder, bpe, first)
    tokenizer = HuggingFaceTokenizer(
        content, special.get("unk_token", ""), special.get("mask_token", ""), entries, str(file)
    )
    if tokenizer.vocab_size > entries:
        raise ValueError(
            f"[convert] {file}: expected at most {entries} entries, as the model has, got {tokenizer.vocab_size}"
        )
    before, behind = tokenizer.frame()
    if len(before) > 1 or len(behind) > 1:
        raise ValueError(
            f"[convert] {file}: expected at most one token before a text and one behind it, got {len(before)} and "
            f"{len(behind)}"
        )
    pair = TokenizerPair(tokenizer, tokenizer, "huggingface", mask="mask_token" in special)
    pad = tokenizer.id_of(special["pad_token"]) if "pad_token" in special else None
    return TextTokenizer(pair, before[0] if before else None, behind[0] if behind else None, pad)


def _content(folder: Path, bpe: Maker, first: Maker | None) -> tuple[Path, bytes, dict[str, str]]:
    """The file that says most, the content of a tokenizer.json, and its special tokens."""
    special = special_tokens(folder)
    if first is not None:
        return folder, *first(folder, special)
    if (file := folder / TOKENIZER_FILE).is_file():
        return file, read_content(file), special
    if (file := folder / VOCABULARY_FILE).is_file():
        return file, *wordpiece_json(folder, special)
    if (folder / BPE_VOCABULARY_FILE).is_file() and (folder / MERGES_FILE).is_file():
        return folder / BPE_VOCABULARY_FILE, *bpe(folder, special)
    if (file := folder / SENTENCEPIECE_FILE).is_file():
        return file, *unigram_json(folder, special)
    if (file := folder / SPIECE_FILE).is_file():
        return file, *spiece_json(folder, special)
    raise FileNotFoundError(
        f"[convert] {folder}: expected {TOKENIZER_FILE}, {VOCABULARY_FILE}, {BPE_VOCABULARY_FILE} with {MERGES_FILE}, "
        f"{SENTENCEPIECE_FILE} or {SPIECE_FILE}, got none of them"
    )


def special_tokens(folder: Path) -> dict[str, str]:
    """The special tokens by their roles, "unk_token" say, as the files beside the tokenizer name them."""
    found: dict[str, str] = {}
    for name in (_SPECIAL, _SETTINGS):
        table = read_table(folder / name) if (folder / name).exists() else {}
        found |= {role: text for role, value in table.items() if role.endswith("_token") and (text := _text(value))}
    return found


def _text(value: Any) -> str:
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""
