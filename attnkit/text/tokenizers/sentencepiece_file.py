"""Reading SentencePiece model files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor


def checked_text(text: str) -> str:
    """The text itself. Raises ValueError where SentencePiece could not read it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        got = f"the lone surrogate U+{ord(text[error.start]):04X} at position {error.start}"
        raise ValueError(f"[tokenizer] expected Unicode text, got {got}") from None
    return text


def read_processor(model: bytes, name: str) -> SentencePieceProcessor:
    """The processor of a model file's content. Raises ValueError, naming it as `name`, when it is not one."""
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor()
    try:
        # An empty file parses as a model without pieces, which SentencePiece then reads out of bounds.
        loaded = bool(model) and processor.LoadFromSerializedProto(model) and processor.vocab_size() > 0
    except (RuntimeError, ValueError, OSError, TypeError):
        loaded = False
    if not loaded:
        raise ValueError(f"[tokenizer] expected {name} to be a SentencePiece model, but it cannot be read as one")
    return processor
