"""The tokenizer of an M2M-100 or NLLB-200 checkpoint, in either of its layouts: a SentencePiece model, the ids of its
pieces, and behind them those of the languages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from attnkit import typed
from attnkit.interop.hf_config import read_content, read_table
from attnkit.interop.m2m_config import M2MConfig
from attnkit.interop.m2m_languages import M2M_100, NLLB_200
from attnkit.interop.tokenizer_json import AddedToken, read_added_tokens, read_bpe
from attnkit.printable import quoted
from attnkit.text.tokenizers.m2m import M2MTokenizer
from attnkit.text.tokenizers.marian import MarianVocabulary
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.sentencepiece_file import read_processor

SETTINGS_FILE, MODEL_FILE = "tokenizer_config.json", "sentencepiece.bpe.model"
_JSON, _VOCABULARY = "tokenizer.json", "vocab.json"
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_SPECIAL_OF_MODEL = 3  # <unk>, <s>, </s>
_M2M, _NLLB = "M2M100Tokenizer", "NllbTokenizer"
_LANGUAGE = re.compile(r"__(?P<m2m>[A-Za-z]{2,4}(_[A-Za-z]+)?)__|(?P<flores>[a-z]{3}_[A-Z][a-z]{3})")
_MASK = "<mask>"

Ids = dict[str, int]


def read_m2m_tokenizers(folder: Path, config: M2MConfig, target: int | None) -> TokenizerPair:
    """`target`: the token of the language to write, where the checkpoint is for one. Raises FileNotFoundError or
    ValueError, naming the file."""
    settings = read_table(folder / SETTINGS_FILE) if (folder / SETTINGS_FILE).exists() else {}
    kind = _kind(folder, settings)
    added = _added_tokens(folder, settings)
    model, ids = _m2m_pieces(folder, settings) if kind == _M2M else _nllb_pieces(folder, added)
    ids |= {token.content: token.id for token in added}
    vocabulary = _vocabulary(folder, ids, [token for token in added if not _language(token.content)], config)
    languages = {name: number for token, number in ids.items() if (name := _language(token))}
    if not languages:
        raise ValueError(f"[convert] {folder}: expected tokens of languages in the vocabulary, got none")
    tokenizer = M2MTokenizer(
        model,
        vocabulary,
        sorted(languages),
        source_language=default_language(folder, settings, "src_lang", languages),
        target_language=_target(folder, languages, target) or default_language(folder, settings, "tgt_lang", languages),
        language_last=kind == _NLLB and settings.get("legacy_behaviour") is True,
        name=str(folder / MODEL_FILE),
    )
    return TokenizerPair.tagged(tokenizer, tokenizer, "m2m", sorted(languages))


def _kind(folder: Path, settings: dict[str, Any]) -> str:
    name = settings.get("tokenizer_class")
    if name is None:
        return _M2M if (folder / _VOCABULARY).exists() else _NLLB
    for kind in (_M2M, _NLLB):
        if name in (kind, f"{kind}Fast"):
            return kind
    raise ValueError(
        f"[convert] {folder / SETTINGS_FILE}: expected the tokenizer_class {_M2M} or {_NLLB}, got {quoted(name)}"
    )


def _language(token: str) -> str | None:
    """The name of the language whose token it is."""
    match = _LANGUAGE.fullmatch(token)
    return None if match is None else match["m2m"] or match["flores"]


def _target(folder: Path, languages: Ids, token: int | None) -> str:
    name = next((name for name, number in languages.items() if number == token), "")
    if token is not None and not name:
        raise ValueError(f"[convert] {folder}: expected forced_bos_token_id to be that of a language, got {token}")
    return name


def default_language(folder: Path, settings: dict[str, Any], key: str, languages: Ids) -> str:
    """The language that the settings name under a key, "" for none. Raises ValueError for one that is none here."""
    name = settings.get(key) or ""
    if name and name not in languages:
        raise ValueError(
            f"[convert] {folder / SETTINGS_FILE}: expected a language of the vocabulary, got {key} {quoted(name)}"
        )
    return str(name)


# ----- Pieces


def _m2m_pieces(folder: Path, settings: dict[str, Any]) -> tuple[bytes, Ids]:
    """vocab.json numbers the pieces; the languages of its kind follow."""
    model = _read_model(folder)
    table = read_table(folder / _VOCABULARY)
    codes = settings.get("language_codes", "m2m100")
    if codes not in M2M_100:
        raise ValueError(
            f"[convert] {folder / SETTINGS_FILE}: expected language_codes of {', '.join(M2M_100)}, got {quoted(codes)}"
        )
    ids = dict(table)
    return model, ids | {f"__{name}__": len(table) + place for place, name in enumerate(M2M_100[codes])}


def _nllb_pieces(folder: Path, added: Iterable[AddedToken]) -> tuple[bytes, Ids]:
    """The pieces of the SentencePiece model behind fairseq's special ones. The languages are what was added; where
    nothing was, those of NLLB-200 follow, and the mask."""
    tokens = [token.content for token in added]
    if not (folder / MODEL_FILE).exists() and (folder / _JSON).exists():
        model, ids = read_bpe(folder / _JSON, {*_SPECIAL, _MASK, *tokens, *NLLB_200})
    else:
        model, ids = fairseq_pieces(folder)
    if not any(map(_language, [*tokens, *ids])):
        ids |= {name: len(ids) + place for place, name in enumerate([*NLLB_200, _MASK])}
    return model, ids


def fairseq_pieces(folder: Path) -> tuple[bytes, Ids]:
    """The SentencePiece model, and its pieces behind fairseq's special ones."""
    model = _read_model(folder)
    processor = read_processor(model, str(folder / MODEL_FILE))
    pieces = [str(processor.id_to_piece(i)) for i in range(_SPECIAL_OF_MODEL, processor.vocab_size())]
    return model, {piece: number for number, piece in enumerate([*_SPECIAL, *pieces])}


def _read_model(folder: Path) -> bytes:
    path = folder / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(f"[convert] {path}: no such file; {folder} is no whole checkpoint")
    return read_content(path)


def _vocabulary(folder: Path, ids: Ids, added: Iterable[AddedToken], config: M2MConfig) -> MarianVocabulary:
    pieces = numbered(folder, ids, config.vocab_size)
    if ids.get("<pad>") != config.pad_token_id:
        raise ValueError(f"[convert] {folder}: expected <pad> to be {config.pad_token_id}, got {ids.get('<pad>')}")
    silent = (*_SPECIAL, _MASK)
    return MarianVocabulary(
        pieces, _VOCABULARY, {token.content: token.special for token in added if token.content not in silent}
    )


def numbered(folder: Path, ids: Ids, entries: int) -> list[str | None]:
    """The pieces by id, as many as a model has entries. Raises ValueError for an id that it has not, or has twice."""
    pieces: list[str | None] = [None] * entries
    for piece, number in ids.items():
        if type(number) is not int or not 0 <= number < entries:
            raise ValueError(
                f"[convert] {folder}: expected ids below {entries}, got {quoted(number)} of {quoted(piece)}"
            )
        if pieces[number] not in (None, piece):
            raise ValueError(
                f"[convert] {folder}: expected a piece for each id, got {quoted(pieces[number])} and {quoted(piece)} "
                f"for {number}"
            )
        pieces[number] = piece
    return pieces


def _added_tokens(folder: Path, settings: dict[str, Any]) -> list[AddedToken]:
    """What was added to the vocabulary, by any of the files that can say it."""
    found: dict[str, AddedToken] = {}
    if (file := folder / "added_tokens.json").exists():
        for content, number in read_table(file).items():
            found[content] = AddedToken(number, content, _language(content) is not None)
    if (file := folder / _JSON).exists():
        found |= {token.content: token for token in read_added_tokens(file)}
    listed = settings.get("added_tokens_decoder", {})
    try:
        for number, token in listed.items():
            added = typed.convert({**token, "id": int(number)}, AddedToken)
            found[added.content] = added
    except (AttributeError, TypeError, ValueError, msgspec.ValidationError):
        raise ValueError(f"[convert] {folder / SETTINGS_FILE}: expected tokens by id in added_tokens_decoder") from None
    return list(found.values())
