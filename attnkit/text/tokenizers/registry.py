"""Every kind of tokenizer by name. A kind is a `Tokenizer` in a file of its own, and a line here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnkit.text.tokenizers.base import Tokenizer

KINDS = {
    "bpe": "attnkit.text.tokenizers.sentencepiece:BpeTokenizer",
    "unigram": "attnkit.text.tokenizers.sentencepiece:UnigramTokenizer",
    "word": "attnkit.text.tokenizers.words:WordTokenizer",
    "wordpunct": "attnkit.text.tokenizers.words:WordPunctTokenizer",
    "char": "attnkit.text.tokenizers.words:CharTokenizer",
    "marian": "attnkit.text.tokenizers.marian:MarianTokenizer",
    "m2m": "attnkit.text.tokenizers.m2m:M2MTokenizer",
    "huggingface": "attnkit.text.tokenizers.huggingface:HuggingFaceTokenizer",
}
"""The "module:Class" of each kind; the module is imported when the kind is asked for."""


def tokenizer_class(kind: str) -> type[Tokenizer]:
    """The class of a kind in KINDS."""
    module, _, name = KINDS[kind].partition(":")
    tokenizer: type[Tokenizer] = getattr(import_module(module), name)
    return tokenizer


def trainable_kinds() -> list[str]:
    """The kinds that a training configuration may name, in alphabetical order."""
    return sorted(kind for kind in KINDS if tokenizer_class(kind).trainable)


def training_files() -> frozenset[str]:
    """Every name that a training gives to a tokenizer's file."""
    classes = [tokenizer_class(kind) for kind in trainable_kinds()]
    return frozenset(
        file for one in classes for name in ("tokenizer", "source", "target") for file in one.file_names(name)
    )
