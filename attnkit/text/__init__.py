"""Text: tokenizers and vocabularies, corpora, batches, alignments, and the built-in English to Italian corpus."""

from attnkit.text.alignment import AlignedPair, alignment_error_rate, hard_alignment, parse_pharaoh
from attnkit.text.batching import Batch, BatchIterator
from attnkit.text.config import DataConfig, TokenizerConfig
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus
from attnkit.text.tokenizer import CharTokenizer, SentencePieceTokenizer, Tokenizer, TokenizerPair, WordTokenizer
from attnkit.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary

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
