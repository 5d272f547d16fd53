"""Words and characters, looked up in a vocabulary."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from attnkit.text.tokenizers.base import _file_name
from attnkit.text.tokenizers.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

_WORD_OR_MARK = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


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
