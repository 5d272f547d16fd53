"""The tokenizer of M2M-100 and NLLB-200: one vocabulary for many languages, each of which has a token there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attnkit.reading import read_file
from attnkit.text.languages import split_tag
from attnkit.text.tokenizers.base import SavedTokenizer
from attnkit.text.tokenizers.marian import MarianTokenizer, MarianVocabulary

_SILENT = {"<s>", "<mask>"}  # beside Marian's


class M2MTokenizer(MarianTokenizer):
    """A SentencePiece model cuts the text, a vocabulary numbers the pieces, as Marian's do.

    A source stands behind the token of its language, or, where `language_last`, before it; a target behind that of its
    own. Those tokens are reserved: a `TaggedTokenizer` around this one puts the source's there, and the search begins
    with the target's. Inside a text their letters are text.
    """

    marks_both = True

    def __init__(
        self,
        model: bytes,
        vocabulary: MarianVocabulary,
        languages: Iterable[str],
        *,
        source_language: str = "",
        target_language: str = "",
        language_last: bool = False,
        name: str = "a SentencePiece model",
    ) -> None:
        """source_language, target_language: where nobody says which. Raises ValueError for a language that the
        vocabulary has no token for, and for a model that is none, naming it `name`."""
        super().__init__(model, vocabulary, name)
        self._tokens = {language: _token_of(language, vocabulary) for language in languages}
        self._silent = self._silent | _SILENT.union(self._tokens.values())
        for language in (source_language, target_language):
            if language and language not in self._tokens:
                raise ValueError(f"[tokenizer] expected a language of the vocabulary, got {language!r}")
        self.source_language, self.target_language = source_language, target_language
        self.language_last = language_last

    @classmethod
    def load(cls, directory: Path, name: str, saved: SavedTokenizer) -> M2MTokenizer:
        path = directory / f"{name}.spm"
        return cls(
            read_file(path),
            MarianVocabulary.load(directory, "vocab.json"),
            saved.languages,
            source_language=saved.source_language,
            target_language=saved.target_language,
            language_last=saved.language_last,
            name=str(path),
        )

    @classmethod
    def load_pair(cls, directory: Path, saved: SavedTokenizer) -> tuple[M2MTokenizer, M2MTokenizer]:
        both = cls.load(directory, "tokenizer", saved)
        return both, both

    def reserved_id(self, token: str) -> int | None:
        """The id of the language that a tag such as >>deu_Latn<< names."""
        language, rest = split_tag(token)
        own = None if language is None or rest else self._tokens.get(language)
        return None if own is None else self.vocabulary.ids[own]

    def saved(self) -> dict[str, Any]:
        kept = {
            "source_language": self.source_language,
            "target_language": self.target_language,
            "language_last": self.language_last,
        }
        return {name: value for name, value in kept.items() if value}

    def _split_tag(self, text: str) -> tuple[list[str], str]:
        return [], text


def _token_of(language: str, vocabulary: MarianVocabulary) -> str:
    """`__en__` in M2M-100, `eng_Latn` in NLLB-200."""
    for token in (f"__{language}__", language):
        if token in vocabulary.ids:
            return token
    raise ValueError(f"[tokenizer] {vocabulary.file_name}: expected a token of the language {language!r}, got none")
