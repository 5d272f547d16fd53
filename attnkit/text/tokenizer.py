"""Tokenizers: text to ids and back, by SentencePiece, by words or by characters."""

from __future__ import annotations

import io
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from attnkit.files import atomic_write
from attnkit.text.config import TokenizerConfig, TokenizerKind
from attnkit.text.languages import TaggedTokenizer, split_tag, tag_of
from attnkit.text.marian import MarianTokenizer, load_marian_pair
from attnkit.text.sentencepiece_file import checked_text, read_processor
from attnkit.text.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, UNK, Vocabulary

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

# Not the machine's: SentencePiece adds up the counts of its threads, so their number is part of the result.
_TRAINING_THREADS = 2
_MAX_LINE_BYTES = 1 << 16
_SPACE = "▁"
_WORD_OR_MARK = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")

SavedKind = Literal[TokenizerKind, "marian"]
"""Of a tokenizer in a model directory; "marian" comes from a converted model alone."""


class Tokenizer(Protocol):
    """Text to ids and back. No method adds or needs bos and eos."""

    @property
    def vocab_size(self) -> int:
        """The number of ids."""

    @property
    def unk_id(self) -> int:
        """The id of what the vocabulary does not have; `UNK` but for converted models."""

    @property
    def eos_id(self) -> int:
        """The id of the end of a sentence; `EOS` but for converted models."""

    def encode(self, text: str) -> list[int]:
        """The ids of a line of text."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; pad, bos and eos are left out. Raises ValueError for an id out of range."""

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The tokens of ids, as the vocabulary writes them. Raises ValueError for an id out of range."""

    def unknown(self, text: str) -> list[str]:
        """The parts of a text that become the unknown token, in order."""

    def save(self, directory: Path, name: str) -> None:
        """Writes the tokenizer's file into a model directory; `name` is tokenizer, source or target."""


class _VocabularyTokenizer:
    """What words and characters have in common: a lookup in a `Vocabulary`."""

    unk_id, eos_id = UNK, EOS

    def __init__(
        self, vocabulary: Vocabulary, split: Callable[[str], Sequence[str]], separator: str, lowercase: bool
    ) -> None:
        self.vocabulary = vocabulary
        self._split, self._separator, self._lowercase = split, separator, lowercase

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    def encode(self, text: str) -> list[int]:
        return [self.vocabulary.id(token) for token in self.split(text)]

    def decode(self, ids: Sequence[int]) -> str:
        return self._separator.join(self.pieces([number for number in ids if number not in (PAD, BOS, EOS)]))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [self.vocabulary.token(int(number)) for number in ids]

    def unknown(self, text: str) -> list[str]:
        return [token for token in self.split(text) if token not in self.vocabulary]

    def reserved_id(self, token: str) -> int | None:
        """The id of a reserved token; None where there is none."""
        return self.vocabulary.reserved_ids.get(token)

    def save(self, directory: Path, name: str) -> None:
        self.vocabulary.save(directory / _file_name(name, sentencepiece=False))

    def split(self, text: str) -> Sequence[str]:
        """The tokens of a text, in the vocabulary or not."""
        return self._split(text.lower() if self._lowercase else text)


class WordTokenizer(_VocabularyTokenizer):
    """Words are what white space separates; `decode` puts single spaces between them."""

    def __init__(self, vocabulary: Vocabulary, lowercase: bool = False) -> None:
        super().__init__(vocabulary, str.split, " ", lowercase)


class WordPunctTokenizer(_VocabularyTokenizer):
    """Words and punctuation marks, each a token; `decode` puts single spaces between them."""

    def __init__(self, vocabulary: Vocabulary, lowercase: bool = False) -> None:
        super().__init__(vocabulary, _WORD_OR_MARK.findall, " ", lowercase)


class CharTokenizer(_VocabularyTokenizer):
    """Every code point is a token, spaces too."""

    def __init__(self, vocabulary: Vocabulary, lowercase: bool = False) -> None:
        super().__init__(vocabulary, list, "", lowercase)


class SentencePieceTokenizer:
    """A SentencePiece model, BPE or unigram (Kudo & Richardson 2018)."""

    unk_id, eos_id = UNK, EOS

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

    @property
    def vocab_size(self) -> int:
        return int(self._processor.vocab_size())

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._processor.encode(self._prepare(text))
        return ids

    def sample(self, text: str, dropout: float) -> list[int]:
        """The ids of a line of text, each merge of a BPE model left out with this probability. The random numbers are
        SentencePiece's of this thread."""
        prepared = self._prepare(text)
        ids: list[int] = self._processor.encode(prepared, enable_sampling=True, alpha=dropout, nbest_size=-1)
        return ids

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
        with atomic_write(directory / _file_name(name, sentencepiece=True)) as file:
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


def _file_name(name: str, sentencepiece: bool) -> str:
    if sentencepiece:
        return f"{name}.spm"
    return "vocab.txt" if name == "tokenizer" else f"{name}.vocab.txt"


TOKENIZER_FILES = tuple(
    _file_name(name, sentencepiece) for name in ("tokenizer", "source", "target") for sentencepiece in (True, False)
)
"""Every name that `TokenizerPair.save` gives to a file."""


class _Saved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tokenizer's part of a model's config.json."""

    kind: SavedKind
    joint: bool
    lowercase: bool
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenizerPair:
    """The tokenizers of a translation model; the same object twice when the vocabulary is joint.

    Where the sources are tagged with target languages, `source` is a `TaggedTokenizer` around it. Those of a converted
    Marian model are two, and joint when both number their pieces by one vocabulary.
    """

    source: Tokenizer
    target: Tokenizer
    kind: SavedKind
    lowercase: bool = False

    @property
    def languages(self) -> tuple[str, ...]:
        """The target languages that sources are tagged with; none where there is one."""
        return self.source.languages if isinstance(self.source, TaggedTokenizer) else ()

    @property
    def joint(self) -> bool:
        if isinstance(self.source, MarianTokenizer) and isinstance(self.target, MarianTokenizer):
            return self.source.vocabulary is self.target.vocabulary
        return _untagged(self.source) is self.target

    @classmethod
    def train(
        cls,
        sources: Iterable[str],
        targets: Iterable[str],
        config: TokenizerConfig,
        seed: int = 1,
        languages: Sequence[str] = (),
    ) -> TokenizerPair:
        """Learns the vocabularies from the training text, or reads the model files that the configuration names.

        `languages`: those of the tags that the sources start with. Raises ValueError when the text is too little for
        the vocabulary, or a given model is none; OSError when it cannot be read.
        """
        tags = [tag_of(language) for language in languages]
        if tags:
            sources = (split_tag(source)[1] for source in sources)
        if config.models:
            read = [_read_sentencepiece(Path(path), config.lowercase) for path in config.models]
            return cls._tagged(read[0], read[-1], config.kind, config.lowercase, languages)
        if config.joint:
            tokenizer = _train(_chain(sources, targets), config, seed, tags)
            return cls._tagged(tokenizer, tokenizer, config.kind, config.lowercase, languages)
        source, target = _train(sources, config, seed, tags), _train(targets, config, seed)
        return cls._tagged(source, target, config.kind, config.lowercase, languages)

    @classmethod
    def _tagged(
        cls, source: _Plain, target: _Plain, kind: TokenizerKind, lowercase: bool, languages: Sequence[str]
    ) -> TokenizerPair:
        """The pair, its source with the tags of the languages. Raises ValueError where it has no entry for one."""
        if not languages:
            return cls(source, target, kind, lowercase)
        ids = {}
        for language in languages:
            number = source.reserved_id(tag_of(language))
            if number is None:
                raise ValueError(
                    f"[tokenizer] expected a vocabulary with the tag {tag_of(language)} as a control symbol, got none"
                )
            ids[language] = number
        return cls(TaggedTokenizer(source, ids), target, kind, lowercase)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes tokenizer.spm, or source.spm and target.spm, or for words and characters vocab.txt, or
        source.vocab.txt and target.vocab.txt."""
        for side, name in self._files():
            side.save(Path(directory), name)

    def to_config(self) -> dict[str, Any]:
        """What `load` needs beside the files: the tokenizer's part of config.json."""
        config: dict[str, Any] = {"kind": self.kind, "joint": self.joint, "lowercase": self.lowercase}
        return config | ({"languages": list(self.languages)} if self.languages else {})

    @classmethod
    def load(cls, directory: str | os.PathLike[str], config: Mapping[str, Any]) -> TokenizerPair:
        """Reads what `save` wrote, with what `to_config` gave. Raises OSError for a missing file, ValueError for a file
        or a configuration that is not one of ours."""
        try:
            saved = msgspec.convert(config, _Saved)
        except msgspec.ValidationError as error:
            raise ValueError(f"[tokenizer] config.json: {error}") from None
        if saved.kind == "marian":
            return cls(*load_marian_pair(Path(directory), saved.joint), saved.kind)
        names = ("tokenizer",) if saved.joint else ("source", "target")
        read = [_read(Path(directory), name, saved) for name in names]
        return cls._tagged(read[0], read[-1], saved.kind, saved.lowercase, saved.languages)

    def _files(self) -> list[tuple[Tokenizer, Literal["tokenizer", "source", "target"]]]:
        if _untagged(self.source) is self.target:
            return [(self.source, "tokenizer")]
        return [(self.source, "source"), (self.target, "target")]


def _chain(sources: Iterable[str], targets: Iterable[str]) -> Iterator[str]:
    yield from sources
    yield from targets


_Plain = _VocabularyTokenizer | SentencePieceTokenizer
_BY_VOCABULARY: Mapping[str, Callable[[Vocabulary, bool], _VocabularyTokenizer]] = {
    "word": WordTokenizer,
    "wordpunct": WordPunctTokenizer,
    "char": CharTokenizer,
}


def _untagged(tokenizer: Tokenizer) -> Tokenizer:
    return tokenizer.inner if isinstance(tokenizer, TaggedTokenizer) else tokenizer


def _train(lines: Iterable[str], config: TokenizerConfig, seed: int, reserved: Sequence[str] = ()) -> _Plain:
    if config.kind in ("bpe", "unigram"):
        return SentencePieceTokenizer.train(lines, config, seed, reserved)
    splitter = _BY_VOCABULARY[config.kind](Vocabulary(()), config.lowercase)
    tokens = (token for line in lines if line.strip() for token in splitter.split(line))
    vocabulary = Vocabulary.build(tokens, config.vocab_size, config.min_frequency, reserved)
    if len(vocabulary) == len(SPECIAL_TOKENS) + len(reserved):
        raise ValueError("[tokenizer] expected text to train on, got no token often enough")
    return _BY_VOCABULARY[config.kind](vocabulary, config.lowercase)


def _read_sentencepiece(path: Path, lowercase: bool) -> SentencePieceTokenizer:
    return SentencePieceTokenizer(path.read_bytes(), lowercase, str(path))


def _read(directory: Path, name: str, saved: _Saved) -> _Plain:
    if saved.kind in ("bpe", "unigram"):
        return _read_sentencepiece(directory / _file_name(name, sentencepiece=True), saved.lowercase)
    tags = [tag_of(language) for language in saved.languages] if name != "target" else []
    vocabulary = Vocabulary.load(directory / _file_name(name, sentencepiece=False), tags)
    return _BY_VOCABULARY[saved.kind](vocabulary, saved.lowercase)
