"""What every tokenizer does, and what a kind of tokenizer is: a class that `registry.KINDS` names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeAlias

import msgspec
from msgspec import Meta

from attnkit.text.languages import tag_of
from attnkit.text.tokenizers.vocabulary import BOS, EOS, MASK_TOKEN, PAD, SPECIAL_TOKENS, UNK

if TYPE_CHECKING:
    from attnkit.text.tokenizers.config import TokenizerConfig


NotNegative = Annotated[int, Meta(ge=0, le=2**31 - 1)]
_Ids: TypeAlias = Annotated[tuple[int, ...], Meta(max_length=8)]
Frame: TypeAlias = tuple[_Ids, _Ids]
"""The ids that stand before a sentence and behind it."""


def framed(frame: Frame, values: Sequence[int], end: int, eos: int) -> list[int]:
    """`Tokenizer.closed` of a tokenizer that has a frame: between its ids where `end` is the end token `eos`, and else
    each of them stands as `end`."""
    before, behind = (ids if end == eos else [end] * len(ids) for ids in frame)
    return [*before, *values, *behind]


class SavedTokenizer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tokenizer's part of a model's config.json.

    mask: whether the vocabulary reserves `MASK_TOKEN`. source_language, target_language, language_last: those of
    `Tokenizer`, of a kind that `marks_both`. unk_token, mask_token: what a tokenizer of Hugging Face's calls those,
    and entries: how many the model has, which may be more than the tokenizer's own.
    """

    kind: str
    joint: bool
    lowercase: bool
    languages: tuple[str, ...] = ()
    mask: bool = False
    source_frame: Frame | None = None
    source_language: str = ""
    target_language: str = ""
    language_last: bool = False
    unk_token: str = ""
    mask_token: str = ""
    entries: NotNegative = 0

    def reserved(self, name: str) -> list[str]:
        """The tokens that the vocabulary of this name reserves: that of a mask, and the tags of the languages, which
        only sources have."""
        tags = [] if name == "target" else [tag_of(language) for language in self.languages]
        return [MASK_TOKEN, *tags] if self.mask else tags


class Tokenizer(ABC):
    """Text to ids and back. No method adds or needs bos and eos.

    A kind that `registry.KINDS` lists has `load` or `load_pair` too, and a trainable one `train` and `file_names`.
    """

    trainable: ClassVar[bool] = True
    """Whether a training configuration may ask for this kind."""

    heeds: ClassVar[frozenset[str]] = frozenset()
    """The keys of a training configuration that this kind heeds, of those that not every kind does."""

    reads_models: ClassVar[bool] = False
    """Whether `read` makes one of a file that the user has, the key `models` of a configuration."""

    has_merges: ClassVar[bool] = False
    """Whether it puts words together by merges, some of which BPE-dropout can leave out."""

    marks_both: ClassVar[bool] = False
    """Whether a source has the token of its own language and a target begins with that of its own, as in models that
    read many languages; in others a source begins with the token of the language to write, if there are several."""

    source_language: str = ""
    """Of a kind that `marks_both`: the language of a source where nobody says which."""

    target_language: str = ""
    """Of a kind that `marks_both`: the language to write where nobody says which."""

    language_last: bool = False
    """Of a kind that `marks_both`: the token of a source's language stands behind the end of the sentence."""

    keeps_space: ClassVar[bool] = False
    """Whether white space is part of a text, at its ends and as many of it as there are."""

    never_written: tuple[int, ...] = (PAD, UNK, BOS)
    """The ids that no model writes."""

    unk_id: int = UNK
    """The id of what the vocabulary does not have; `UNK` but for converted models."""

    eos_id: int = EOS
    """The id of the end of a sentence; `EOS` but for converted models."""

    marks_words: bool = False
    """Whether `pieces` says where a word begins, so that one without a mark goes on with what is before it."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """The number of ids."""

    @property
    def special_ids(self) -> frozenset[int]:
        """The ids that no text becomes, of the special tokens and of a mask."""
        mask = self.reserved_id(MASK_TOKEN)
        return frozenset(range(len(SPECIAL_TOKENS))) | (set() if mask is None else {mask})

    @property
    def masks(self) -> tuple[str, ...]:
        """What stands for a hidden token in a text: `MASK_TOKEN`, and a name that the tokenizer has for it."""
        return (MASK_TOKEN,)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of a line of text."""

    def encode_joined(self, text: str) -> list[int]:
        """The ids of a text that stands directly behind something, without a space between."""
        return self.encode(text)

    def encode_with_gaps(self, parts: Sequence[str]) -> list[int]:
        """The ids of a text with a hidden token between each two of its parts. Raises ValueError without a mask."""
        mask = self.reserved_id(MASK_TOKEN)
        if mask is None:
            raise ValueError(f"[tokenizer] expected the reserved entry {MASK_TOKEN}, got none")
        ids = self.encode(parts[0])
        for part in parts[1:]:
            joined = part and not part[0].isspace()
            ids += [mask, *(self.encode_joined(part) if joined else self.encode(part))]
        return ids

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; pad, bos and eos are left out. Raises ValueError for an id out of range."""

    def continuation(self, ids: Sequence[int], count: int) -> str:
        """The text of ids[count:] as it follows that of the first `count`, with the space between them if there is
        one."""
        return self.decode(ids)[len(self.decode(ids[:count])) :]

    @abstractmethod
    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The tokens of ids, as the vocabulary writes them, but that the start of a word is marked as SentencePiece
        marks it, whatever the kind. Raises ValueError for an id out of range."""

    @abstractmethod
    def unknown(self, text: str) -> list[str]:
        """The parts of a text that become the unknown token, in order."""

    def closed(self, values: Sequence[int], end: int) -> list[int]:
        """The values of a source's ids, which `encode` gave, with that of its end token, in the order in which a model
        reads them."""
        return [*values, end]

    def saved(self) -> dict[str, Any]:
        """What config.json keeps of this tokenizer, beside what it keeps of all."""
        return {}

    def reserved_id(self, token: str) -> int | None:
        """The id of a reserved token, which no text becomes; None where there is none."""
        return None

    def shares_vocabulary(self, other: Tokenizer) -> bool:
        """Whether both number the same pieces in the same way, because they have one vocabulary."""
        return self is other

    @abstractmethod
    def save(self, directory: Path, name: str) -> None:
        """Writes the tokenizer's file into a model directory; `name` is tokenizer, source or target."""

    @classmethod
    def file_names(cls, name: str) -> tuple[str, ...]:
        """The files that `save` writes for this name."""
        raise NotImplementedError(f"{cls.__name__}.file_names")

    @classmethod
    def load(cls, directory: Path, name: str, saved: SavedTokenizer) -> Tokenizer:
        """Reads what `save` wrote. Raises OSError, or ValueError naming the file."""
        raise NotImplementedError(f"{cls.__name__}.load")

    @classmethod
    def load_pair(cls, directory: Path, saved: SavedTokenizer) -> tuple[Tokenizer, Tokenizer]:
        """The source and target tokenizer of a model directory, one object where they are joint."""
        if saved.joint:
            both = cls.load(directory, "tokenizer", saved)
            return both, both
        return cls.load(directory, "source", saved), cls.load(directory, "target", saved)

    @classmethod
    def train(
        cls, lines: Iterable[str], config: TokenizerConfig, seed: int = 1, reserved: Sequence[str] = ()
    ) -> Tokenizer:
        """Learns from lines of text. `reserved` tokens have ids of their own, and no text becomes them. Raises
        ValueError when the text is too little."""
        raise ValueError(f"[tokenizer] the kind {config.kind!r} cannot be trained here")

    @classmethod
    def read(cls, path: Path, lowercase: bool) -> Tokenizer:
        """The tokenizer in a file of the user's. Raises OSError, or ValueError naming the file."""
        raise NotImplementedError(f"{cls.__name__}.read")
