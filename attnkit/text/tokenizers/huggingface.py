"""Any tokenizer that is a tokenizer.json of Hugging Face's, run by their library `tokenizers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attnkit.files import atomic_write
from attnkit.printable import shortened
from attnkit.reading import read_file
from attnkit.text.tokenizers.base import Frame, SavedTokenizer, Tokenizer, framed
from attnkit.text.tokenizers.huggingface_pieces import speller
from attnkit.text.tokenizers.vocabulary import MASK_TOKEN

if TYPE_CHECKING:
    import tokenizers

T = TypeVar("T")


class HuggingFaceTokenizer(Tokenizer):
    """A tokenizer.json: WordPiece, byte-level BPE, Unigram or what else the library has.

    Special tokens that stand in a text are found there, as in transformers. What the file says of cutting, of padding
    and of tokens around a text is left to the model.
    """

    trainable = False
    keeps_space = True
    never_written = ()

    def __init__(
        self,
        content: bytes,
        unk_token: str = "",
        mask_token: str = "",
        entries: int = 0,
        name: str = "a tokenizer.json",
        source_frame: Frame | None = None,
        lowercase: bool = False,
    ) -> None:
        """content: of the file. unk_token, mask_token: what it calls those, where it has them. entries: how many the
        model has, which may be more. source_frame: what an encoder-decoder reads around a source, the end token last
        or all there is behind it. lowercase: texts are put into small letters first. Raises ValueError, naming it
        `name`, for one that is none, and for such a token that it does not have; ModuleNotFoundError without the
        library."""
        self._content, self._name, self._lowercase = content, name, lowercase
        self._inner = _opened(content, name)
        self._size = max(entries, int(self._inner.get_vocab_size(with_added_tokens=True)))
        self.unk_token, self.mask_token = unk_token, mask_token
        self.unk_id = self._special(unk_token)
        self.mask_id = self._special(mask_token)
        self._frame = source_frame
        if source_frame is not None:
            self._check([*source_frame[0], *source_frame[1]])
            if source_frame[1]:
                self.eos_id = source_frame[1][0]
        added = self._inner.get_added_tokens_decoder()
        self._added = frozenset(token.content for token in added.values())
        named = {number for number in (self.unk_id, self.mask_id) if number >= 0}
        self._special_ids = frozenset(number for number, token in added.items() if token.special) | named
        self._spell = self._guarded(lambda: speller(self._inner, self._added | {unk_token, mask_token}))
        self.marks_words = self._spell is not None

    @classmethod
    def load(cls, directory: Path, name: str, saved: SavedTokenizer) -> HuggingFaceTokenizer:
        path = directory / f"{name}.json"
        named = saved.unk_token, saved.mask_token, saved.entries
        return cls(read_file(path), *named, str(path), saved.source_frame, saved.lowercase)

    def framed(self, frame: Frame) -> HuggingFaceTokenizer:
        """The same for an encoder-decoder, which reads a source between these tokens."""
        return HuggingFaceTokenizer(
            self._content, self.unk_token, self.mask_token, self._size, self._name, source_frame=frame
        )

    def lowercased(self) -> HuggingFaceTokenizer:
        """The same for texts that are put into small letters first."""
        return HuggingFaceTokenizer(
            self._content, self.unk_token, self.mask_token, self._size, self._name, lowercase=True
        )

    @property
    def vocab_size(self) -> int:
        return self._size

    @property
    def special_ids(self) -> frozenset[int]:
        """The special tokens of the file, and the numbers that only the model has."""
        own = int(self._inner.get_vocab_size(with_added_tokens=True))
        return self._special_ids | frozenset(range(own, self._size))

    @property
    def masks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((MASK_TOKEN, self.mask_token or MASK_TOKEN)))

    def encode_with_gaps(self, parts: Sequence[str]) -> list[int]:
        """As the library does it, whose mask may take the space before it."""
        if self.mask_id < 0:
            return super().encode_with_gaps(parts)
        ids = self.encode(self.mask_token.join(parts))
        if ids.count(self.mask_id) != len(parts) - 1:
            raise ValueError(f"[tokenizer] {self._name}: expected {self.mask_token!r} to be found in texts, got none")
        return ids

    def encode(self, text: str) -> list[int]:
        text = text.lower() if self._lowercase else text
        return list(self._guarded(lambda: self._inner.encode(text, add_special_tokens=False).ids))

    def frame(self) -> tuple[list[int], list[int]]:
        """The ids that the file puts before a text and behind it."""
        with_them = self._guarded(lambda: self._inner.encode("a", add_special_tokens=True))
        inside = [place for place, special in enumerate(with_them.special_tokens_mask) if not special]
        first, last = (inside[0], inside[-1]) if inside else (0, -1)
        return list(with_them.ids[:first]), list(with_them.ids[last + 1 :])

    def closed(self, values: Sequence[int], end: int) -> list[int]:
        if self._frame is None:
            return super().closed(values, end)
        return framed(self._frame, values, end, self.eos_id)

    def decode(self, ids: Sequence[int]) -> str:
        self._check(ids)
        return str(self._guarded(lambda: self._inner.decode(list(ids), skip_special_tokens=True)))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        self._check(ids)
        pieces = [str(self._inner.id_to_token(number) or "") for number in ids]
        return self._spell(pieces) if self._spell is not None else pieces

    def unknown(self, text: str) -> list[str]:
        if self.unk_id < 0:
            return []
        read = text.lower() if self._lowercase else text
        found = self._guarded(lambda: self._inner.encode(read, add_special_tokens=False))
        places = zip(found.ids, found.offsets, strict=True)
        return [read[begin:end] for number, (begin, end) in places if number == self.unk_id]

    def reserved_id(self, token: str) -> int | None:
        return self.mask_id if token == MASK_TOKEN and self.mask_id >= 0 else None

    def id_of(self, token: str) -> int | None:
        """The id of an entry of the vocabulary; None where there is none."""
        found: int | None = self._inner.token_to_id(token)
        return found

    def saved(self) -> dict[str, Any]:
        named: dict[str, Any] = {"unk_token": self.unk_token, "mask_token": self.mask_token, "entries": self._size}
        if self._frame is not None:
            named["source_frame"] = [list(ids) for ids in self._frame]
        return {key: value for key, value in named.items() if value}

    def save(self, directory: Path, name: str) -> None:
        with atomic_write(directory / f"{name}.json") as file:
            file.write(self._content)

    def _special(self, token: str) -> int:
        """The id of a special token; -1 where there is none."""
        number = self.id_of(token) if token else -1
        if number is None:
            raise ValueError(f"[tokenizer] {self._name}: expected the token {token!r}, which the vocabulary lacks")
        return number

    def _check(self, ids: Sequence[int]) -> None:
        if (bad := next((number for number in ids if not 0 <= number < self._size), None)) is not None:
            raise ValueError(f"[tokenizer] expected an id in [0, {self.vocab_size}), got {bad}")

    def _guarded(self, work: Callable[[], T]) -> T:
        return guarded(work, self._name)


def library() -> Any:
    """The library itself. Raises ModuleNotFoundError that says how to get it."""
    try:
        import tokenizers
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "[tokenizer] this model needs the library tokenizers, which is not installed: pip install "
            '"attnkit[tokenizers]"'
        ) from None
    return tokenizers


def guarded(work: Callable[[], T], name: str) -> T:
    """The library's own errors as ours, ValueError with that name: it raises plain exceptions, and where its Rust code
    panics what is none."""
    try:
        return work()
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"[tokenizer] {name}: {shortened(str(error), 300)}") from None


def _opened(content: bytes, name: str) -> tokenizers.Tokenizer:
    lib = library()
    opened: tokenizers.Tokenizer = guarded(lambda: lib.Tokenizer.from_buffer(content), name)
    opened.no_truncation()
    opened.no_padding()
    return opened
