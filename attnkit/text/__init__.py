"""Text: tokenizers and vocabularies, corpora, batches, alignments, and the built-in English to Italian corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnkit._lazy import lazily

if TYPE_CHECKING:
    from attnkit.text.alignment import AlignedPair, alignment_error_rate, hard_alignment, parse_pharaoh
    from attnkit.text.batching import Batch, BatchIterator
    from attnkit.text.config import DataConfig
    from attnkit.text.corpus import EncodedCorpus, ParallelCorpus
    from attnkit.text.masked_batching import MaskedBatch, MaskedIterator
    from attnkit.text.masking import Masker
    from attnkit.text.masking_config import MaskingConfig
    from attnkit.text.tokenizers.base import Tokenizer
    from attnkit.text.tokenizers.config import TokenizerConfig
    from attnkit.text.tokenizers.pair import TokenizerPair
    from attnkit.text.tokenizers.sentencepiece import SentencePieceTokenizer
    from attnkit.text.tokenizers.vocabulary import BOS, EOS, PAD, UNK, Vocabulary
    from attnkit.text.tokenizers.words import CharTokenizer, WordTokenizer

__all__ = [
    "BOS",
    "EOS",
    "PAD",
    "UNK",
    "AlignedPair",
    "Batch",
    "BatchIterator",
    "CharTokenizer",
    "DataConfig",
    "EncodedCorpus",
    "MaskedBatch",
    "MaskedIterator",
    "Masker",
    "MaskingConfig",
    "ParallelCorpus",
    "SentencePieceTokenizer",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerPair",
    "Vocabulary",
    "WordTokenizer",
    "alignment_error_rate",
    "hard_alignment",
    "parse_pharaoh",
]

if not TYPE_CHECKING:  # with it, type checkers would let any name pass
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "attnkit.text.alignment": ("AlignedPair", "alignment_error_rate", "hard_alignment", "parse_pharaoh"),
            "attnkit.text.batching": ("Batch", "BatchIterator"),
            "attnkit.text.config": ("DataConfig",),
            "attnkit.text.corpus": ("EncodedCorpus", "ParallelCorpus"),
            "attnkit.text.masked_batching": ("MaskedBatch", "MaskedIterator"),
            "attnkit.text.masking": ("Masker",),
            "attnkit.text.masking_config": ("MaskingConfig",),
            "attnkit.text.tokenizers.base": ("Tokenizer",),
            "attnkit.text.tokenizers.config": ("TokenizerConfig",),
            "attnkit.text.tokenizers.pair": ("TokenizerPair",),
            "attnkit.text.tokenizers.sentencepiece": ("SentencePieceTokenizer",),
            "attnkit.text.tokenizers.vocabulary": ("BOS", "EOS", "PAD", "UNK", "Vocabulary"),
            "attnkit.text.tokenizers.words": ("CharTokenizer", "WordTokenizer"),
        },
    )
