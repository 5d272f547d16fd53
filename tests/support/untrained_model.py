"""A model directory for tests that need one: what the model writes is nonsense, and always the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attnkit
from attnkit.text.tokenizers.pair import TokenizerPair
from attnkit.text.tokenizers.vocabulary import Vocabulary
from attnkit.text.tokenizers.words import WordTokenizer

ENGLISH = ["the", "cat", "dog", "sees", "a", "house", "is", "on", "table", "red"]
ITALIAN = ["il", "gatto", "cane", "vede", "una", "casa", "è", "sul", "tavolo", "rosso"]
FRENCH = ["le", "chat", "chien", "voit", "une", "maison", "est", "sur", "table", "rouge"]
VOCABULARY_SIZE = 14  # with pad, unk, bos, eos
MAX_LENGTH = 12


def write_untrained_model(
    path: Path, source: Sequence[str] = ENGLISH, target: Sequence[str] = ITALIAN, seed: int = 1
) -> None:
    """A small Transformer with random weights, and word vocabularies of two languages."""
    from attnkit.models import TransformerConfig, build_model, save_model

    attnkit.manual_seed(seed)
    tokenizers = TokenizerPair(WordTokenizer(Vocabulary(source)), WordTokenizer(Vocabulary(target)), "word")
    config = TransformerConfig(
        d_model=16, ffn=32, heads=2, encoder_layers=1, decoder_layers=1, max_length=MAX_LENGTH, tie_embeddings="none"
    )
    model = build_model(config, VOCABULARY_SIZE, VOCABULARY_SIZE)
    save_model(model, path, {"task": "translate", "tokenizer": tokenizers.to_config()})
    tokenizers.save(path)
