"""The built-in English to Italian corpus: a grammar with agreement and contractions, and exact word alignments."""

from attnkit.text.alignment import AlignedPair
from attnkit.text.en_it.corpus import SHOWCASE, corpus, generate, split_of, write

__all__ = ["SHOWCASE", "AlignedPair", "corpus", "generate", "split_of", "write"]
