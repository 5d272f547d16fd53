"""[tokenizer]: how text becomes ids."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attnkit.printable import quoted
from attnkit.text.tokenizers.registry import KINDS, tokenizer_class, trainable_kinds

_OF_SOME_KINDS = ("normalization", "character_coverage", "byte_fallback", "training_sentences", "min_frequency")


class TokenizerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How text becomes ids."""

    kind: Annotated[
        str,
        Meta(
            description='"bpe" or "unigram" (SentencePiece), "word" (split at white space), "wordpunct" (words and '
            'signs, each a token), or "char".'
        ),
    ] = "bpe"

    vocab_size: Annotated[
        int,
        Meta(
            ge=5,
            description="Entries of a vocabulary, the four special ones included. Words and characters may come to "
            "fewer.",
        ),
    ] = 8000

    joint: Annotated[
        bool, Meta(description="One vocabulary for both languages, which tied embeddings need; false for one each.")
    ] = True

    lowercase: Annotated[bool, Meta(description="Lower-case everything first; the model then writes lower case.")] = (
        False
    )

    normalization: Annotated[
        Literal["nmt_nfkc", "nfkc", "identity"],
        Meta(
            description='SentencePiece\'s normalisation of Unicode. "identity" keeps the text as it is, as the other '
            "kinds do always."
        ),
    ] = "nmt_nfkc"

    character_coverage: Annotated[
        float,
        Meta(
            gt=0.0,
            le=1.0,
            description="The share of all characters that SentencePiece must cover; under 1 for writing with very "
            "many of them.",
        ),
    ] = 1.0

    byte_fallback: Annotated[
        bool,
        Meta(
            description="SentencePiece spells characters it does not know as UTF-8 bytes: nothing is unknown, for 256 "
            "entries."
        ),
    ] = False

    min_frequency: Annotated[
        int, Meta(ge=1, description="Words or characters seen less often than this are unknown.")
    ] = 1

    training_sentences: Annotated[
        int, Meta(ge=1, description="SentencePiece learns from at most this many lines, drawn at random.")
    ] = 2_000_000

    models: Annotated[
        tuple[str, ...],
        Meta(
            description="Ready SentencePiece model files instead of training: one file for a joint vocabulary, or "
            "source and target."
        ),
    ] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not tokenizer_class(self.kind).trainable:
            choices = " or ".join(map(repr, trainable_kinds()))
            raise ValueError(f"kind: invalid value {quoted(self.kind)}; expected {choices}")
        if self.models and not tokenizer_class(self.kind).reads_models:
            raise ValueError(f"models: expected none for the kind {quoted(self.kind)}")
        if self.models and len(self.models) != (1 if self.joint else 2):
            need = "1 file for a joint vocabulary" if self.joint else "2 files, source and target"
            raise ValueError(f"models: expected {need}, got {len(self.models)}")
        self._check_heeded()

    def _check_heeded(self) -> None:
        """A choice that would change nothing is a mistake."""
        heeds = tokenizer_class(self.kind).heeds
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            if field.name not in _OF_SOME_KINDS or value == field.default:
                continue
            if self.models:
                raise ValueError(f"{field.name}: expected none beside models, which are made already, got {value!r}")
            if field.name not in heeds and value != "identity":  # the others keep the text as it is
                raise ValueError(f"{field.name}: expected none for the kind {self.kind!r}, got {value!r}")
