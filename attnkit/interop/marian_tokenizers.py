"""The tokenizers of a Marian checkpoint: two SentencePiece models, the ids of their pieces, added tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attnkit.interop.hf_config import read_content, read_table
from attnkit.interop.marian_config import MarianConfig
from attnkit.printable import quoted
from attnkit.text.tokenizers.marian import EOS_PIECE, PAD_PIECE, UNK_PIECE, MarianTokenizer, MarianVocabulary
from attnkit.text.tokenizers.pair import TokenizerPair

_SETTINGS, _ADDED = "tokenizer_config.json", "added_tokens.json"


def read_tokenizers(folder: Path, marian: MarianConfig) -> TokenizerPair:
    """Raises FileNotFoundError or ValueError, naming the file."""
    file = folder / _SETTINGS
    settings = read_table(file) if file.exists() else {}
    for name, piece in (("eos_token", EOS_PIECE), ("unk_token", UNK_PIECE), ("pad_token", PAD_PIECE)):
        given = settings.get(name, piece)
        given = given.get("content") if isinstance(given, dict) else given
        if given != piece:
            raise ValueError(f"[convert] {file}: expected the {name} {piece}, got {quoted(given)}")
    added = _added_tokens(folder, settings)
    source = _vocabulary(folder, "vocab.json", marian.vocab_size, added)
    target = source
    if settings.get("separate_vocabs"):
        if added:
            raise ValueError(
                f"[convert] {file}: expected no added tokens beside separate_vocabs, got {quoted(min(added))}"
            )
        target = _vocabulary(folder, "target_vocab.json", marian.target_vocab_size, {})
    elif marian.target_vocab_size != marian.vocab_size:
        raise ValueError(
            f"[convert] {file}: expected separate_vocabs, since config.json has {marian.vocab_size} source and "
            f"{marian.target_vocab_size} target entries"
        )
    return TokenizerPair(_tokenizer(folder, "source.spm", source), _tokenizer(folder, "target.spm", target), "marian")


def _added_tokens(folder: Path, settings: dict[str, Any]) -> dict[str, tuple[int, bool]]:
    """Id of each token that was added to the vocabulary, and whether it is special: no text comes of it then."""
    file = folder / _ADDED
    added = read_table(file) if file.exists() else {}
    try:
        listed = settings.get("added_tokens_decoder", {})
        added |= {str(token["content"]): int(number) for number, token in listed.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(f"[convert] {folder / _SETTINGS}: expected tokens by id in added_tokens_decoder") from None
    special = (EOS_PIECE, UNK_PIECE, PAD_PIECE)  # of which text never comes, nor they of text
    return {token: (number, token in _silent(settings)) for token, number in added.items() if token not in special}


def _silent(settings: dict[str, Any]) -> set[str]:
    """The added tokens that transformers counts among the special ones, by the names of its versions."""
    lists = (settings.get(key) for key in ("additional_special_tokens", "extra_special_tokens"))
    entries = (entry for listed in lists if isinstance(listed, list) for entry in listed)
    return {str(entry.get("content") if isinstance(entry, dict) else entry) for entry in entries}


def _vocabulary(folder: Path, name: str, size: int, added: dict[str, tuple[int, bool]]) -> MarianVocabulary:
    pieces: list[str | None] = [None] * size
    entries = [(folder / name, piece, number) for piece, number in read_table(folder / name).items()]
    entries += [(folder / _ADDED, piece, number) for piece, (number, _) in added.items()]
    for file, piece, number in entries:
        if type(number) is not int or not 0 <= number < size:
            raise ValueError(f"[convert] {file}: expected ids below {size}, got {quoted(number)} of {quoted(piece)}")
        if pieces[number] not in (None, piece):
            raise ValueError(f"[convert] {file}: expected a piece for each id, got two for {number}")
        pieces[number] = piece
    return MarianVocabulary(pieces, name, {token: special for token, (_, special) in added.items()})


def _tokenizer(folder: Path, name: str, vocabulary: MarianVocabulary) -> MarianTokenizer:
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"[convert] {path}: no such file; {folder} is not a Marian checkpoint")
    return MarianTokenizer(read_content(path), vocabulary, str(path))
