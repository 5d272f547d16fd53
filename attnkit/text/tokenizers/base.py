"""What every tokenizer does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


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


def _file_name(name: str, sentencepiece: bool) -> str:
    if sentencepiece:
        return f"{name}.spm"
    return "vocab.txt" if name == "tokenizer" else f"{name}.vocab.txt"
