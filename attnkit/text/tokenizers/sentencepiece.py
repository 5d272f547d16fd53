"""SentencePiece: BPE and unigram pieces."""

from __future__ import annotations

import functools
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attnkit.files import atomic_write
from attnkit.reading import read_file
from attnkit.text.tokenizers.base import SavedTokenizer, Tokenizer
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.merges import Drops, Merges
from attnkit.text.tokenizers.sentencepiece_file import checked_text, read_processor
from attnkit.text.tokenizers.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNK

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

# Not the machine's: SentencePiece adds up the counts of its threads, so their number is part of the result.
_TRAINING_THREADS = 2
_MAX_LINE_BYTES = 1 << 16
_SPACE = "▁"


class SentencePieceTokenizer(Tokenizer):
    """A SentencePiece model, BPE or unigram (Kudo & Richardson 2018)."""

    heeds = frozenset({"normalization", "character_coverage", "byte_fallback", "training_sentences"})
    reads_models = True

    def __init__(self, model: bytes, lowercase: bool = False, name: str = "a SentencePiece model") -> None:
        """`model` is the content of a model file. Raises ValueError, naming it as `name`, when it is not one, or when
        its special ids are not those of this library (pad 0, unk 1, bos 2, eos 3)."""
        self._processor = _processor(model, name)
        self._lowercase = lowercase

    @classmethod
    def train(
        cls, lines: Iterable[str], config: TokenizerConfig, seed: int = 1, reserved: Sequence[str] = ()
    ) -> SentencePieceTokenizer:
        """Learns a model of `config.vocab_size` entries. The same lines, configuration and seed give the same bytes.

        `reserved` tokens are entries that no text is split into. Raises ValueError when there is no text, or too little
        for so many entries.
        """
        model = _train_sentencepiece(_prepared(lines, config.lowercase), config, seed, reserved)
        return cls(model, config.lowercase)

    @classmethod
    def load(cls, directory: Path, name: str, saved: SavedTokenizer) -> SentencePieceTokenizer:
        (file,) = cls.file_names(name)
        return cls.read(directory / file, saved.lowercase)

    @classmethod
    def read(cls, path: Path, lowercase: bool) -> SentencePieceTokenizer:
        return cls(read_file(path), lowercase, str(path))

    @classmethod
    def file_names(cls, name: str) -> tuple[str, ...]:
        return (f"{name}.spm",)

    @property
    def vocab_size(self) -> int:
        return int(self._processor.vocab_size())

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._processor.encode(self._prepare(text))
        return ids

    def encode_joined(self, text: str) -> list[int]:
        # SentencePiece puts a space before every text. Behind a letter there is none, and where the text begins with a
        # sign, the letter stays a piece of its own.
        first, *rest = self._processor.encode(self._prepare("a"))
        ids = self.encode(f"a{text}")
        return ids[1:] if not rest and ids[:1] == [first] else self.encode(text)

    def sample(self, text: str, drops: Drops) -> list[int]:
        """The ids of a line of text, some merges of a BPE model left out."""
        return self._merges.cut(self._processor.encode(self._prepare(text), out_type=str), drops)

    @functools.cached_property
    def _merges(self) -> Merges:
        model = self._processor
        special = model.is_control, model.is_unknown, model.is_byte, model.is_unused
        ordinary = [number for number in range(self.vocab_size) if not any(kind(number) for kind in special)]
        pieces = {str(model.id_to_piece(number)): (number, float(model.get_score(number))) for number in ordinary}
        return Merges(pieces, lambda piece: int(model.piece_to_id(piece)), _SPACE)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._processor.decode(self._checked(ids)))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [str(self._processor.id_to_piece(number)) for number in self._checked(ids)]

    def unknown(self, text: str) -> list[str]:
        prepared = self._prepare(text)
        pieces = zip(self._processor.encode(prepared), self._processor.encode(prepared, out_type=str), strict=True)
        return [piece.removeprefix(_SPACE) for number, piece in pieces if number == UNK]

    def reserved_id(self, token: str) -> int | None:
        """The id of a control symbol; None where there is none."""
        number = int(self._processor.piece_to_id(token))
        return number if self._processor.is_control(number) else None

    def save(self, directory: Path, name: str) -> None:
        (file_name,) = self.file_names(name)
        with atomic_write(directory / file_name) as file:
            file.write(self._processor.serialized_model_proto())

    def _prepare(self, text: str) -> str:
        return checked_text(text.lower() if self._lowercase else text)

    def _checked(self, ids: Sequence[int]) -> list[int]:
        numbers = [int(number) for number in ids]
        size = self.vocab_size
        for number in numbers:
            if not 0 <= number < size:
                raise ValueError(f"[tokenizer] expected an id in [0, {size}), got {number}")
        return numbers


class BpeTokenizer(SentencePieceTokenizer):
    """The kind "bpe": pieces put together by merges."""

    has_merges = True


class UnigramTokenizer(SentencePieceTokenizer):
    """The kind "unigram": the likeliest pieces."""


def _processor(model: bytes, name: str) -> SentencePieceProcessor:
    processor = read_processor(model, name)
    found = processor.pad_id(), processor.unk_id(), processor.bos_id(), processor.eos_id()
    if found != (PAD, UNK, BOS, EOS):
        raise ValueError(
            f"[tokenizer] expected {name} to have pad, unk, bos, eos = {PAD}, {UNK}, {BOS}, {EOS} (train it with "
            f"--pad_id={PAD} --unk_id={UNK} --bos_id={BOS} --eos_id={EOS}), got {', '.join(map(str, found))}"
        )
    return processor


def _sampled(lines: Iterable[str], size: int, seed: int) -> list[str]:
    """At most `size` lines, each as likely as any other (reservoir sampling). SentencePiece's own sampling has a seed
    that cannot be set."""
    rng = random.Random(seed)
    kept: list[str] = []
    for count, line in enumerate(lines):
        if count < size:
            kept.append(line)
        elif (place := rng.randrange(count + 1)) < size:
            kept[place] = line
    return kept


def _prepared(lines: Iterable[str], lowercase: bool) -> Iterator[str]:
    for line in lines:
        if line.strip():
            yield line.lower() if lowercase else line


def _train_sentencepiece(lines: Iterator[str], config: TokenizerConfig, seed: int, reserved: Sequence[str]) -> bytes:
    import sentencepiece

    sample = _sampled(lines, config.training_sentences, seed)
    if not sample:
        raise ValueError("[tokenizer] expected text to train on, got no line with any")
    model = io.BytesIO()
    pad, unknown, begin, end = SPECIAL_TOKENS
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sample),
            model_writer=model,
            model_type=config.kind,
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            normalization_rule_name=config.normalization,
            byte_fallback=config.byte_fallback,
            max_sentence_length=_MAX_LINE_BYTES,
            num_threads=_TRAINING_THREADS,
            pad_id=PAD, unk_id=UNK, bos_id=BOS, eos_id=EOS,
            pad_piece=pad, unk_piece=unknown, bos_piece=begin, eos_piece=end,
            unk_surface=unknown,
            control_symbols=list(reserved),
            minloglevel=2,
        )  # fmt: skip
    except (RuntimeError, ValueError, OSError) as error:
        # SentencePiece's text says where in its source it failed, then what to change.
        reason = str(error).rpartition("] ")[2].strip() or str(error)
        raise ValueError(
            f"[tokenizer] cannot learn {config.vocab_size} {config.kind} entries from this text: {reason}"
        ) from None
    return model.getvalue()
