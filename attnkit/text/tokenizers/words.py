"""Words and characters, looked up in a vocabulary."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from attnkit.text.tokenizers.base import SavedTokenizer, Tokenizer
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.vocabulary import BOS, EOS, PAD, SPECIAL_TOKENS, Vocabulary
from attnkit.words import words_and_signs

_WORD_OR_MARK_1 = r"\w+(?:['’]\w+)*|[^\w\s]"  # of attnkit 0.1


class _VocabularyTokenizer(Tokenizer):
    """What words and characters have in common: a lookup in a `Vocabulary`."""

    heeds = frozenset({"min_frequency"})
    _separator: ClassVar[str]

    def __init__(self, vocabulary: Vocabulary, lowercase: bool = False) -> None:
        self.vocabulary = vocabulary
        self._lowercase = lowercase

    @classmethod
    def train(
        cls, lines: Iterable[str], config: TokenizerConfig, seed: int = 1, reserved: Sequence[str] = ()
    ) -> _VocabularyTokenizer:
        splitter = cls(Vocabulary(()), config.lowercase)
        tokens = (token for line in lines if line.strip() for token in splitter.split(line))
        vocabulary = Vocabulary.build(tokens, config.vocab_size, config.min_frequency, reserved)
        if len(vocabulary) == len(SPECIAL_TOKENS) + len(reserved):
            raise ValueError("[tokenizer] expected text to train on, got no token often enough")
        return cls(vocabulary, config.lowercase)

    @classmethod
    def load(cls, directory: Path, name: str, saved: SavedTokenizer) -> _VocabularyTokenizer:
        (file,) = cls.file_names(name)
        return cls(Vocabulary.load(directory / file, saved.reserved(name)), saved.lowercase)

    @classmethod
    def file_names(cls, name: str) -> tuple[str, ...]:
        return ("vocab.txt" if name == "tokenizer" else f"{name}.vocab.txt",)

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
        return self.vocabulary.reserved_ids.get(token)

    def save(self, directory: Path, name: str) -> None:
        (file,) = self.file_names(name)
        self.vocabulary.save(directory / file)

    def split(self, text: str) -> Sequence[str]:
        """The tokens of a text, in the vocabulary or not."""
        return self._split(text.lower() if self._lowercase else text)

    @abstractmethod
    def _split(self, text: str) -> Sequence[str]:
        """The tokens of a text whose case is settled."""


class WordTokenizer(_VocabularyTokenizer):
    """Words are what white space separates; `decode` puts single spaces between them."""

    _separator = " "

    def _split(self, text: str) -> Sequence[str]:
        return text.split()


class WordPunctTokenizer(_VocabularyTokenizer):
    """Words and punctuation marks, each a token (`attnkit.words`); `decode` puts single spaces between them.

    The name of its file says that words were cut so. attnkit 0.1 cut them at combining marks and at the point in 3.14;
    its vocabularies have another name, and their text is cut as it was when they were made.
    """

    _separator = " "

    @classmethod
    def file_names(cls, name: str) -> tuple[str, ...]:
        return ("wordpunct.txt" if name == "tokenizer" else f"{name}.wordpunct.txt",)

    @classmethod
    def load(cls, directory: Path, name: str, saved: SavedTokenizer) -> _VocabularyTokenizer:
        old = any((directory / file).exists() for file in _WordPunctTokenizer1.file_names(name))
        kind = _WordPunctTokenizer1 if old else cls
        return super(WordPunctTokenizer, kind).load(directory, name, saved)

    def _split(self, text: str) -> Sequence[str]:
        return words_and_signs(text)


class _WordPunctTokenizer1(WordPunctTokenizer):
    """That of attnkit 0.1."""

    @classmethod
    def file_names(cls, name: str) -> tuple[str, ...]:
        return WordTokenizer.file_names(name)

    def _split(self, text: str) -> Sequence[str]:
        return re.findall(_WORD_OR_MARK_1, text)


class CharTokenizer(_VocabularyTokenizer):
    """Every code point is a token, spaces too."""

    _separator = ""

    def _split(self, text: str) -> Sequence[str]:
        return list(text)
