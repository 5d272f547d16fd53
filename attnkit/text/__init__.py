"""Text: tokenizers and vocabularies, corpora, batches, alignments, and the built-in English to Italian corpus."""
