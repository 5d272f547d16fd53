"""The tokenizers of a CTranslate2 model: its vocabularies, and the SentencePiece models that lie beside them.

CTranslate2 reads and writes tokens; its directories have vocabularies only. Whoever published the model says how text
becomes tokens, and mostly puts the SentencePiece models into the folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import msgspec

from attnkit import typed
from attnkit.interop.compressed import check_pointer
from attnkit.interop.ctranslate2_config import SearchConfig
from attnkit.printable import quoted
from attnkit.reading import read_file
from attnkit.text.tokenizers.base import Frame
from attnkit.text.tokenizers.marian import EOS_PIECE, PAD_PIECE, UNK_PIECE, MarianTokenizer, MarianVocabulary
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.sentencepiece_file import read_processor

_LARGEST = 1 << 28  # bytes of a vocabulary or a SentencePiece model

_PAIRS = (("source.spm", "target.spm"), ("source.model", "target.model"), ("src.spm", "tgt.spm"),
          ("src.model", "tgt.model"))  # fmt: skip
_USUAL = ("sentencepiece.model", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model")  # for both sides
_SINGLE = ("*.spm", "*.model")
_CODES = b"#version:"  # the first line of subword-nmt's merges

_FEW = 4  # a tokenizer less than one in so many of whose pieces the vocabulary has is another model's

# Tokens that stand for a language, of models that want to be told one: NLLB-200, M2M-100.
_LANGUAGES = ("eng_Latn", "__en__", "en_XX")

# Tokens of no text, which attnkit never writes, beside those of the model's own configuration.
_NO_TEXT = ("<blank>", "<pad>")


class Vocabulary(NamedTuple):
    """tokens: as CTranslate2 numbers them, None for one that stood there before. path: the file."""

    tokens: list[str | None]
    path: Path

    def find(self, token: str) -> int | None:
        return self.tokens.index(token) if token in self.tokens else None


class Tokenizers(NamedTuple):
    """pair: the tokenizers, whose vocabularies have as many entries as the model's rows, or a few more. start: what the
    decoder begins with. around: the tokens that stand around a source. no_text: the ids that are never written."""

    pair: TokenizerPair
    start: int
    around: int
    no_text: tuple[int, ...]


def read_tokenizers(
    folder: Path,
    config: SearchConfig,
    rows: tuple[int, int],
    zero_start: bool,
    given: Path | None = None,
) -> Tokenizers:
    """rows: of the embeddings of sources and targets. zero_start: the decoder begins with a vector of zeros, that of an
    entry which is put behind the others. given: the SentencePiece model of both sides; None looks for it in the folder.

    Raises FileNotFoundError or ValueError, naming the file.
    """
    source, target = _vocabularies(folder)
    joint = source is target
    _check_rows(source, target, rows)
    _check_start(folder, config, target, zero_start)
    eos = target.find(config.eos_token)
    if eos is None:
        raise ValueError(f"[convert] {target.path}: expected the end token {quoted(config.eos_token)}, got none")
    begins = target.tokens.index(config.decoder_start_token) if not zero_start else -1
    pieces = _pieces(target, config, rows[1])
    no_text = {index for index, piece in enumerate(target.tokens) if piece in (*_NO_TEXT, config.bos_token)}
    if zero_start:
        if PAD_PIECE in pieces:
            pieces[pieces.index(PAD_PIECE)] = None
        pieces.append(PAD_PIECE)
        begins = len(pieces) - 1
        no_text.add(begins)
    theirs = _named(pieces, "vocab.json" if joint else "target_vocab.json", target.path)
    ours = theirs if joint else _named(_pieces(source, config, rows[0]), "vocab.json", source.path)
    no_text.add(theirs.ids[UNK_PIECE])
    models = (given, given) if given else _models(folder)
    frame = _frame(config, source, ours, zero_start)
    pair = TokenizerPair(_tokenizer(models[0], ours, frame), _tokenizer(models[1], theirs), "marian")
    return Tokenizers(pair, begins, len(pair.source.closed([], eos)), tuple(sorted(no_text - {eos})))


def _check_rows(source: Vocabulary, target: Vocabulary, rows: tuple[int, int]) -> None:
    if source is target and rows[0] != rows[1]:
        raise ValueError(
            f"[convert] {source.path}: expected embeddings with as many rows, since the vocabulary is shared, got "
            f"{rows[0]:,} and {rows[1]:,}"
        )
    for side, vocabulary, count in (("source", source, rows[0]), ("target", target, rows[1])):
        if len(vocabulary.tokens) > count:
            raise ValueError(
                f"[convert] {vocabulary.path}: expected at most {count:,} tokens of the {side}, as the model has rows, "
                f"got {len(vocabulary.tokens):,}"
            )


def _check_start(folder: Path, config: SearchConfig, target: Vocabulary, zero_start: bool) -> None:
    """A model that begins with zeros may say any token."""
    start = "" if zero_start else config.decoder_start_token
    languages = next((token for token in _LANGUAGES if token in target.tokens), None)
    if start is None or languages is not None:
        why = "decoder_start_token is null" if start is None else f"{target.path.name} has {languages}"
        raise ValueError(
            f"[convert] {folder}: a model that is told the language by a token of each target ({why}), such as "
            "NLLB-200 and M2M-100: not supported as CTranslate2 has it; convert the checkpoint of Hugging Face"
        )
    if not zero_start and target.find(start) is None:
        raise ValueError(f"[convert] {target.path}: expected the start token {quoted(start)}, got none")


# ----- Vocabularies


def _vocabularies(folder: Path) -> tuple[Vocabulary, Vocabulary]:
    if (folder / "source_1_vocabulary.json").exists() or (folder / "source_1_vocabulary.txt").exists():
        raise ValueError(f"[convert] {folder}: more than one source (source_1_vocabulary): not supported")
    if shared := _find(folder, "shared_vocabulary"):
        vocabulary = _read_vocabulary(shared)
        return vocabulary, vocabulary
    found = [_find(folder, f"{side}_vocabulary") for side in ("source", "target")]
    for side, path in zip(("source", "target"), found, strict=True):
        if path is None:
            raise FileNotFoundError(
                f"[convert] {folder}: expected shared_vocabulary.json, or source_vocabulary.json and "
                f"target_vocabulary.json (.txt), got none of the {side}"
            )
    source, target = (_read_vocabulary(path) for path in found if path is not None)
    return source, target


def _find(folder: Path, name: str) -> Path | None:
    return next((folder / (name + end) for end in (".json", ".txt") if (folder / (name + end)).exists()), None)


def _read_vocabulary(path: Path) -> Vocabulary:
    content = read_file(path, _LARGEST)
    check_pointer(content, path)
    try:
        tokens = typed.from_json(content, list[str]) if path.suffix == ".json" else _lines(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"[convert] {path}: expected a list of tokens ({error})") from None
    kept, seen = list[str | None](), {""}
    for token in tokens:  # of one that is there twice the first is meant
        kept.append(None if token in seen else token)
        seen.add(token)
    return Vocabulary(kept, path)


def _lines(content: bytes) -> list[str]:
    """Lines end with a line feed alone, where not all of them have a carriage return before it."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if lines and all(line.endswith(b"\r") for line in lines):
        lines = [line[:-1] for line in lines]
    return [line.decode("utf-8") for line in lines]


def _pieces(vocabulary: Vocabulary, config: SearchConfig, rows: int) -> list[str | None]:
    """A piece for each row, the end and the unknown token under our names, one for each of these at least: what a
    vocabulary does not have comes behind the others."""
    pieces = list(vocabulary.tokens)
    for token, name in ((config.eos_token, EOS_PIECE), (config.unk_token, UNK_PIECE)):
        if token != name and token in pieces:
            if name in pieces:
                pieces[pieces.index(name)] = None
            pieces[pieces.index(token)] = name
    for name in (UNK_PIECE, EOS_PIECE):  # CTranslate2, too, has the unknown token next
        if name not in pieces:
            pieces.append(name)
    return [*pieces, *[None] * (rows - len(pieces))]


def _named(pieces: list[str | None], name: str, path: Path) -> MarianVocabulary:
    try:
        return MarianVocabulary(pieces, name)
    except ValueError as error:
        raise ValueError(f"[convert] {path}: {error}") from None


def _frame(config: SearchConfig, source: Vocabulary, ours: MarianVocabulary, zero_start: bool) -> Frame | None:
    """What stands around a source. Models that begin with zeros are Marian's, which all end sources: where config.json
    does not say so, they come from transformers, whose tokenizer gives CTranslate2 the end as a token like others."""
    before: tuple[int, ...] = ()
    if config.add_source_bos:
        found = source.find(config.bos_token)
        if found is None:
            raise ValueError(f"[convert] {source.path}: expected the token {quoted(config.bos_token)}, got none")
        before = (found,)
    ends = config.add_source_eos or zero_start
    return None if ends and not before else (before, (ours.ids[EOS_PIECE],) if ends else ())


# ----- Tokenizers


def _models(folder: Path) -> tuple[Path, Path]:
    for source, target in _PAIRS:
        if (folder / source).exists() and (folder / target).exists():
            return folder / source, folder / target
    for name in _USUAL:
        if (folder / name).exists():
            return folder / name, folder / name
    found = sorted({path for pattern in _SINGLE for path in folder.glob(pattern)})
    if len(found) == 1:
        return found[0], found[0]
    raise FileNotFoundError(
        f"[convert] {folder}: expected the tokenizer, which a folder of CTranslate2's does not have by itself: "
        "source.spm and target.spm, or one SentencePiece model (sentencepiece.model), from where the model comes from; "
        f"got {'none' if not found else ', '.join(path.name for path in found)}"
    )


def _tokenizer(path: Path, vocabulary: MarianVocabulary, frame: Frame | None = None) -> MarianTokenizer:
    content = read_file(path, _LARGEST)
    check_pointer(content, path)
    if content.startswith(_CODES):
        raise ValueError(
            f"[convert] {path}: merges of subword-nmt, behind a tokenizer such as Moses': not supported; attnkit reads "
            "SentencePiece models"
        )
    processor = read_processor(content, str(path))
    pieces = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    known = sum(piece in vocabulary.ids for piece in pieces)
    if known * _FEW < len(pieces):
        raise ValueError(
            f"[convert] {path}: expected the model's own SentencePiece model, got one with {known:,} of whose "
            f"{len(pieces):,} pieces are in {vocabulary.file_name}"
        )
    return MarianTokenizer(content, vocabulary, str(path), frame=frame)
