"""A vocabulary: distinct tokens numbered from 0, the four special ones first, the same in every model."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence

from attnkit.files import atomic_write
from attnkit.printable import quoted
from attnkit.reading import read_file

PAD, UNK, BOS, EOS = range(4)
"""The ids of padding (never in a packed batch), unknown, beginning and end of a sentence, in every tokenizer."""

SPECIAL_TOKENS = ("<pad>", "<unk>", "<s>", "</s>")

MASK_TOKEN = "<mask>"
"""The reserved entry of masked language models, for a token that is hidden; other models do not have it."""

WORD_START = "\u2581"
"""What SentencePiece puts at the start of a word, and `pieces` of all tokenizers that cut words."""


class Vocabulary:
    """Tokens and their ids. Text that happens to contain "</s>" does not become the special token: it is unknown.

    `reserved` tokens, such as the tags of languages, have ids behind the special ones; text does not become them.
    """

    def __init__(self, tokens: Sequence[str], reserved: Sequence[str] = ()) -> None:
        """`tokens` in the order of their ids, without the special ones. Raises ValueError for a repeated one, and for
        one that a file of a token a line cannot hold."""
        own = (*SPECIAL_TOKENS, *reserved)
        self._tokens = (*own, *tokens)
        self._ids = dict(zip(tokens, range(len(own), len(self._tokens)), strict=True))
        self.reserved_ids = {token: number for number, token in enumerate(reserved, start=len(SPECIAL_TOKENS))}
        if not all(self._tokens) or "\n" in "".join(self._tokens):
            bad = next(token for token in self._tokens if not token or "\n" in token)
            raise ValueError(f"[vocabulary] expected tokens of one line, got {quoted(bad)}")
        if len(self._ids) + len(set(own)) != len(self._tokens) or not self._ids.keys().isdisjoint(own):
            repeated = next(token for token, count in Counter(self._tokens).items() if count > 1)
            raise ValueError(f"[vocabulary] expected distinct tokens, got {quoted(repeated)} twice")

    @classmethod
    def build(
        cls, tokens: Iterable[str], size: int, min_frequency: int = 1, reserved: Sequence[str] = ()
    ) -> Vocabulary:
        """The most frequent tokens, at most `size` with the special and the reserved ones; of equals the first in code
        point order."""
        own = (*SPECIAL_TOKENS, *reserved)
        if size <= len(own):
            raise ValueError(f"[vocabulary] expected a size over {len(own)}, got {size}")
        counts = Counter(tokens)
        for token in own:
            counts.pop(token, None)
        frequent = sorted((-count, token) for token, count in counts.items() if count >= min_frequency)
        return cls([token for _, token in frequent[: size - len(own)]], reserved)

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._ids

    def id(self, token: str) -> int:
        """The id of a token, `UNK` when it is not there."""
        return self._ids.get(token, UNK)

    def token(self, number: int) -> str:
        """The token of an id. Raises ValueError for an id outside the vocabulary."""
        if not 0 <= number < len(self._tokens):
            raise ValueError(f"[vocabulary] expected an id in [0, {len(self._tokens)}), got {number}")
        return self._tokens[number]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one token a line, in the order of the ids, the special ones included."""
        with atomic_write(path, "w") as file:
            file.writelines(f"{token}\n" for token in self._tokens)

    @classmethod
    def load(cls, path: str | os.PathLike[str], reserved: Sequence[str] = ()) -> Vocabulary:
        """Reads what `save` wrote of a vocabulary with these reserved tokens. Raises OSError, or ValueError naming the
        file when it is anything else."""
        where = f"[vocabulary] {os.fspath(path)}"
        data = read_file(path)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: expected UTF-8, got byte 0x{data[error.start]:02x} at {error.start}") from None
        lines = text.removesuffix("\n").split("\n")  # not splitlines: a token may be a line separator of Unicode's
        own = (*SPECIAL_TOKENS, *reserved)
        if tuple(lines[: len(own)]) != own:
            raise ValueError(f"{where}: expected the first lines to be {', '.join(own)}")
        if "" in lines:
            raise ValueError(f"{where}, line {lines.index('') + 1}: expected a token, got an empty line")
        try:
            return cls(lines[len(own) :], reserved)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
