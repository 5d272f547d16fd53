"""The tokenizers of Marian models: SentencePiece pieces, numbered by a vocabulary of the model's own."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from attnkit import typed
from attnkit.files import atomic_write
from attnkit.reading import read_file
from attnkit.text.languages import languages_of
from attnkit.text.tokenizers.base import Frame, SavedTokenizer, Tokenizer, framed
from attnkit.text.tokenizers.sentencepiece_file import checked_text, read_processor

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

EOS_PIECE, UNK_PIECE, PAD_PIECE = "</s>", "<unk>", "<pad>"
_SILENT = {EOS_PIECE, UNK_PIECE, PAD_PIECE}  # no text comes of them
_SPACE = "▁"
_ADDED_FILE = "added_tokens.json"
T = TypeVar("T")


class MarianVocabulary:
    """Pieces by id. A model may have ids that no piece stands for; None marks them.

    added: the tokens that were added to the vocabulary, found wherever in a text they stand, and whether each is
    special, so that no text comes of it.
    """

    def __init__(
        self, pieces: Sequence[str | None], file_name: str, added: Mapping[str, bool] = MappingProxyType({})
    ) -> None:
        """`file_name` is that in a model directory. Raises ValueError for a repeated piece, or where </s> or <unk> is
        missing."""
        self.pieces = list(pieces)
        self.file_name = file_name
        self.added = dict(added)
        numbers = dict(zip(self.pieces, range(len(self.pieces)), strict=True))
        numbers.pop(None, None)
        self.ids = cast("dict[str, int]", numbers)
        if len(self.ids) != len(self.pieces) - self.pieces.count(None):
            raise ValueError(f"[tokenizer] {file_name}: expected distinct pieces, got one twice")
        self.silent = {*_SILENT, *(token for token, special in self.added.items() if special)}
        """What no text comes of."""
        for piece in (EOS_PIECE, UNK_PIECE):
            if piece not in self.ids:
                raise ValueError(f"[tokenizer] {file_name}: expected the piece {piece}")
        if missing := [token for token in self.added if token not in self.ids or not token]:
            raise ValueError(f"[tokenizer] {_ADDED_FILE}: expected tokens of {file_name}, got {missing[0]!r}")

    def save(self, directory: Path) -> None:
        """Writes the pieces as a JSON list, and the added ones, where there are any, in a file of their own."""
        with atomic_write(directory / self.file_name, "w") as file:
            json.dump(self.pieces, file, ensure_ascii=False, indent=0)
        if self.added:
            with atomic_write(directory / _ADDED_FILE, "w") as file:
                json.dump(self.added, file, ensure_ascii=False, indent=0)

    @classmethod
    def load(cls, directory: Path, file_name: str) -> MarianVocabulary:
        """Reads what `save` wrote. Raises OSError, or ValueError naming the file."""
        pieces = _read_json(directory / file_name, list[str | None], "a JSON list of pieces")
        shared = file_name == "vocab.json" and (directory / _ADDED_FILE).exists()
        added = _read_json(directory / _ADDED_FILE, dict[str, bool], "a JSON object of tokens") if shared else {}
        return cls(pieces, file_name, added)


def _read_json(path: Path, kind: type[T], what: str) -> T:
    try:
        return typed.from_json(read_file(path), kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"[tokenizer] {path}: expected {what} ({error})") from None


class MarianTokenizer(Tokenizer):
    """A SentencePiece model cuts the text, the vocabulary says which id a piece has; what it lacks is unknown.

    A line may begin with a tag such as >>fra<<, which tells a model for several languages what to write; it becomes one
    token, as added tokens do wherever they stand. As in Hugging Face transformers without sacremoses, punctuation is
    left as it is; other than there, text like "</s>" inside a line is text.
    """

    trainable = False
    _model: bytes
    _processor: SentencePieceProcessor

    def __init__(
        self,
        model: bytes,
        vocabulary: MarianVocabulary,
        name: str = "a SentencePiece model",
        other: MarianTokenizer | None = None,
        frame: Frame | None = None,
    ) -> None:
        """`model` is the content of a SentencePiece file; what is made of it is shared with `other`, where that has the
        same. frame: what an encoder reads around a sentence, where that is not the end token alone. Raises ValueError,
        naming it `name`, when it is none, and for a frame that the vocabulary does not have."""
        shared = other is not None and other._model == model
        self._model = other._model if other is not None and shared else model
        self._processor = other._processor if other is not None and shared else read_processor(model, name)
        self.vocabulary = vocabulary
        self.eos_id = vocabulary.ids[EOS_PIECE]
        self.unk_id = vocabulary.ids[UNK_PIECE]
        self._silent = vocabulary.silent
        self._frame = frame
        if frame is not None:
            self._checked([*frame[0], *frame[1]])
        longest_first = sorted(vocabulary.added, key=len, reverse=True)
        self._added = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if longest_first else None

    @classmethod
    def load_pair(cls, directory: Path, saved: SavedTokenizer) -> tuple[MarianTokenizer, MarianTokenizer]:
        """Two tokenizers always; joint where both number pieces by vocab.json."""
        source = MarianVocabulary.load(directory, "vocab.json")
        target = source if saved.joint else MarianVocabulary.load(directory, "target_vocab.json")
        reads, writes = directory / "source.spm", directory / "target.spm"
        first = cls(read_file(reads), source, str(reads), frame=saved.source_frame)
        return first, cls(read_file(writes), target, str(writes), first)

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary.pieces)

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that the vocabulary has a tag for."""
        return languages_of([piece for piece in self.vocabulary.ids if ">>" in piece])

    def encode(self, text: str) -> list[int]:
        return [self.vocabulary.ids.get(piece, self.unk_id) for piece in self._cut(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; end, unknown and padding are left out. Raises ValueError for an id out of range."""
        return self._joined(ids).strip()

    def continuation(self, ids: Sequence[int], count: int) -> str:
        # Unknown pieces leave nothing to measure by, and a text's first space is taken off: so behind a letter.
        return self._joined(ids[count:], "a").removeprefix("a").rstrip()

    def _joined(self, ids: Sequence[int], *before: str) -> str:
        silent = self._silent
        pieces = [*before, *(piece for piece in self._checked(ids) if piece is not None and piece not in silent)]
        return str(self._processor.decode_pieces(pieces)).replace(_SPACE, " ")

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [UNK_PIECE if piece is None else piece for piece in self._checked(ids)]

    def unknown(self, text: str) -> list[str]:
        return [piece.removeprefix(_SPACE) for piece in self._cut(text) if piece not in self.vocabulary.ids]

    def closed(self, values: Sequence[int], end: int) -> list[int]:
        if self._frame is None:
            return super().closed(values, end)
        return framed(self._frame, values, end, self.eos_id)

    def saved(self) -> dict[str, Any]:
        return {} if self._frame is None else {"source_frame": [list(ids) for ids in self._frame]}

    def shares_vocabulary(self, other: Tokenizer) -> bool:
        return isinstance(other, MarianTokenizer) and self.vocabulary is other.vocabulary

    def save(self, directory: Path, name: str) -> None:
        """Writes <name>.spm and the vocabulary, which two tokenizers may share."""
        with atomic_write(directory / f"{name}.spm") as file:
            file.write(self._model)
        self.vocabulary.save(directory)

    def _cut(self, text: str) -> list[str]:
        pieces, text = self._split_tag(text)
        for part in [text] if self._added is None else self._added.split(text):
            if part in self.vocabulary.added:
                pieces.append(part)
            else:
                pieces += self._processor.encode(checked_text(part), out_type=str)
        return pieces

    def _checked(self, ids: Sequence[int]) -> list[str | None]:
        size = self.vocab_size
        if len(ids) and not (min(ids) >= 0 and max(ids) < size):
            bad = next(number for number in ids if not 0 <= number < size)
            raise ValueError(f"[tokenizer] expected an id in [0, {size}), got {bad}")
        pieces = self.vocabulary.pieces
        return [pieces[number] for number in ids]

    def _split_tag(self, text: str) -> tuple[list[str], str]:
        """[">>fra<<"] and the rest of the line, or [] and the line."""
        tag, end, rest = text.partition("<<")
        return ([tag + end], rest) if tag.startswith(">>") and end else ([], text)
