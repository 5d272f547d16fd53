"""A small model that makes vectors of texts, with random weights and words for a vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attnkit
from attnkit.models.registry import build_model
from attnkit.models.sentence_encoder_config import SentenceEncoderConfig
from attnkit.tasks.shared.directory import save_directory
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair

TEXTS = [
    "the cat sees a dog",
    "the dog sees a cat",
    "a bird sings",
    "the bird sees the house",
    "",
    "a a a a a a a a a a",
]


def save_embedder(folder: Path, **more: Any) -> Path:
    """A model directory of the task "embed"; more: keys of its configuration, and prompts and default_prompt."""
    parts = {name: more.pop(name) for name in ("prompts", "default_prompt") if name in more}
    tokenizers = TokenizerPair.train(TEXTS, (), TokenizerConfig(kind="word"))
    keys: dict[str, Any] = {"d_model": 16, "ffn": 24, "heads": 2, "layers": 2, "eos_id": 3, "max_length": 9}
    attnkit.manual_seed(1)
    model = build_model(SentenceEncoderConfig(**(keys | more)), tokenizers.source.vocab_size)
    save_directory(model, folder, "embed", tokenizers=tokenizers, **parts)
    return folder
