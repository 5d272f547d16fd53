"""Tokenizers: text to ids and back, by SentencePiece, by words or by characters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from attnkit.text.languages import split_tag, tag_of
from attnkit.text.tokenizers.base import Tokenizer, _file_name
from attnkit.text.tokenizers.config import TokenizerConfig, TokenizerKind
from attnkit.text.tokenizers.marian import MarianTokenizer, load_marian_pair
from attnkit.text.tokenizers.sentencepiece import SentencePieceTokenizer, _read_sentencepiece
from attnkit.text.tokenizers.tagged import TaggedTokenizer
from attnkit.text.tokenizers.vocabulary import SPECIAL_TOKENS, Vocabulary
from attnkit.text.tokenizers.words import CharTokenizer, WordPunctTokenizer, WordTokenizer, _VocabularyTokenizer

SavedKind = Literal[TokenizerKind, "marian"]
"""Of a tokenizer in a model directory; "marian" comes from a converted model alone."""


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


def _read(directory: Path, name: str, saved: _Saved) -> _Plain:
    if saved.kind in ("bpe", "unigram"):
        return _read_sentencepiece(directory / _file_name(name, sentencepiece=True), saved.lowercase)
    tags = [tag_of(language) for language in saved.languages] if name != "target" else []
    vocabulary = Vocabulary.load(directory / _file_name(name, sentencepiece=False), tags)
    return _BY_VOCABULARY[saved.kind](vocabulary, saved.lowercase)
