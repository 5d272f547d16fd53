"""The tokenizers of mBART and mBART-50: a SentencePiece model, fairseq's numbers of its pieces, and behind them the
languages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from attnkit.interop.hf_config import CONFIG_FILE, read_table
from attnkit.interop.m2m_languages import MBART, MBART_50
from attnkit.interop.m2m_tokenizers import MODEL_FILE, SETTINGS_FILE, Ids, default_language, fairseq_pieces, numbered
from attnkit.printable import quoted
from attnkit.text.tokenizers.m2m import M2MTokenizer
from attnkit.text.tokenizers.marian import EOS_PIECE, MarianTokenizer, MarianVocabulary
from attnkit.text.tokenizers.pair import TokenizerPair

_ONE, _MANY = "MBartTokenizer", "MBart50Tokenizer"
_MASK, _DEFAULT = "<mask>", "en_XX"


class MBartSettings(NamedTuple):
    """many: whether it is mBART-50, whose sources begin with the token of their language; else they end with it, and
    the model is for one direction. table: tokenizer_config.json."""

    many: bool
    table: dict[str, Any]

    @classmethod
    def read(cls, folder: Path, config: dict[str, Any]) -> MBartSettings:
        """config: the table of config.json. Raises ValueError for another class of tokenizers."""
        file = folder / SETTINGS_FILE
        table = read_table(file) if file.exists() else {}
        found = table.get("tokenizer_class") or config.get("tokenizer_class") or _ONE
        if found not in (_ONE, _MANY, f"{_ONE}Fast", f"{_MANY}Fast"):
            raise ValueError(f"[convert] {file}: expected the tokenizer_class {_ONE} or {_MANY}, got {quoted(found)}")
        return cls(found.startswith(_MANY), table)


def read_mbart_tokenizers(
    folder: Path, entries: int, settings: MBartSettings, start: int, forced: int | None
) -> TokenizerPair:
    """entries: of the model. start, forced: what its decoder reads first, and what an output begins with, if that is
    said. Raises FileNotFoundError or ValueError, naming the file."""
    model, ids = fairseq_pieces(folder)
    names = MBART_50 if settings.many else MBART
    languages = {name: ids.setdefault(name, len(ids)) for name in names}
    ids.setdefault(_MASK, len(ids))
    pieces = numbered(folder, ids, entries)
    source = default_language(folder, settings.table, "src_lang", languages)
    if settings.many:
        target = _named(languages, forced) if forced is not None else ""
        tokenizer = M2MTokenizer(
            model,
            MarianVocabulary(pieces, "vocab.json"),
            sorted(languages),
            source_language=source,
            target_language=target or default_language(folder, settings.table, "tgt_lang", languages),
            name=str(folder / MODEL_FILE),
        )
        return TokenizerPair.tagged(tokenizer, tokenizer, "m2m", sorted(languages))
    if not _named(languages, start):
        raise ValueError(
            f"[convert] {folder / CONFIG_FILE}: decoder_start_token_id: expected the token of a language, with which "
            f"an mBART for one direction begins, got {start}"
        )
    special = dict.fromkeys(("<s>", _MASK, *languages), True)
    vocabulary, frame = MarianVocabulary(pieces, "vocab.json", special), (ids[EOS_PIECE], languages[source or _DEFAULT])
    reader = MarianTokenizer(model, vocabulary, str(folder / MODEL_FILE), frame=((), frame))
    return TokenizerPair(reader, MarianTokenizer(model, vocabulary, other=reader), "marian")


def _named(languages: Ids, token: int) -> str:
    return next((name for name, number in languages.items() if number == token), "")
