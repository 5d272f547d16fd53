"""A tokenizer of sources whose first token says which language to write, or which they are in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attnkit.text.languages import split_tag
from attnkit.text.tokenizers.base import Tokenizer


class TaggedTokenizer(Tokenizer):
    """A tokenizer that turns a tag at the start of a text into the tag's own id, and leaves the rest to `inner`."""

    def __init__(self, inner: Tokenizer, ids: Mapping[str, int]) -> None:
        """`ids`: those of the languages' tags in the vocabulary of `inner`."""
        self.inner = inner
        self.ids = dict(ids)
        self.unk_id, self.eos_id = inner.unk_id, inner.eos_id

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.ids)

    @property
    def vocab_size(self) -> int:
        return self.inner.vocab_size

    def encode(self, text: str) -> list[int]:
        """A tag alone, like an empty text, has no ids. Raises ValueError for the tag of another language."""
        return self.encode_by(text, self.inner.encode)

    def encode_by(self, text: str, encode: Callable[[str], list[int]]) -> list[int]:
        """The same with another encoder of what follows the tag."""
        language, rest = split_tag(text)
        if language is None:
            return encode(text)
        if language not in self.ids:
            raise ValueError(f"[tokenizer] expected a language among {', '.join(self.ids)}, got {language}")
        ids = encode(rest)
        return [self.ids[language], *ids] if ids else []

    def closed(self, values: Sequence[int], end: int) -> list[int]:
        """The tag's comes last in some models of many languages."""
        if self.inner.language_last and values:
            return [*values[1:], end, values[0]]
        return self.inner.closed(values, end)

    def decode(self, ids: Sequence[int]) -> str:
        tags = set(self.ids.values())
        return self.inner.decode([number for number in ids if number not in tags])

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return self.inner.pieces(ids)

    def unknown(self, text: str) -> list[str]:
        return self.inner.unknown(split_tag(text)[1])

    def save(self, directory: Path, name: str) -> None:
        self.inner.save(directory, name)
