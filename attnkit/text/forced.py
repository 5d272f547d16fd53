"""Text that an output must begin with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from attnkit.text.tokenizers.base import Tokenizer


class Forced(NamedTuple):
    """A prefix or prompt. It stands in the output as it was given, whatever the vocabulary knows of it.

    text: as it was given. ids: its tokens, with which the output begins. unknown: what of it the vocabulary does not
    have, a text for each unknown token.
    """

    text: str
    ids: list[int]
    unknown: list[str]

    @classmethod
    def read(cls, text: str, tokenizer: Tokenizer) -> Forced:
        ids = tokenizer.encode(text) if text else []
        return cls(text, ids, tokenizer.unknown(text) if tokenizer.unk_id in ids else [])

    def whole(self, ids: Sequence[int], tokenizer: Tokenizer) -> str:
        """The text of ids that begin with those of this one."""
        return self.text + tokenizer.continuation(ids, len(self.ids)) if self.ids else tokenizer.decode(ids)

    def pieces(self, ids: Sequence[int], tokenizer: Tokenizer) -> list[str]:
        """The tokens of such ids, an unknown one that was given as it stands in the text."""
        names = tokenizer.pieces(ids)
        if not self.ids:
            return names
        unknown = iter(self.unknown)
        given = zip(names, self.ids, strict=False)
        names[: len(self.ids)] = [next(unknown, name) if id == tokenizer.unk_id else name for name, id in given]
        return names
