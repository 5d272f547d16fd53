"""Small models with random weights, one of each kind that has an attention to look at, ready to use."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytorch_twin import randomise

from attnkit.models import build_model
from attnkit.tasks.caption.captioner import Captioner
from attnkit.tasks.classify_images.classifier import ImageClassifier
from attnkit.tasks.classify_text.classifier import Classifier
from attnkit.tasks.language_model.generator import Generator
from attnkit.tasks.translate.translator import Translator
from attnkit.text.documents import DocumentReader
from attnkit.text.tokenizers.vocabulary import Vocabulary
from attnkit.text.tokenizers.words import WordTokenizer
from attnkit.vision.preprocessing import Preprocessing

WORDS = ["the", "animal", "was", "too", "tired", "a", "red", "dog", "."]
TEXT = "the animal was too tired . the dog was red ."
CAPTION = "a red dog ."
SIZE = 12
LABELS = ["cat", "dog", "none"]
DEVIATION = 0.4  # of the weights: attention of models with smaller ones is nearly even

STACK: dict[str, Any] = dict(d_model=8, ffn=12, heads=2, layers=2, dropout=0.0)


def tokenizer() -> WordTokenizer:
    return WordTokenizer(Vocabulary(WORDS))


def picture(seed: int = 0) -> np.ndarray:
    """uint8 [12, 12, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)


def built(config: Any, *sizes: int, seed: int = 3) -> Any:
    model = build_model(config, *sizes)
    randomise(model, seed, DEVIATION)
    return model.eval()


def text_classifier(config: Any, **options: Any) -> Classifier:
    text = tokenizer()
    model = built(config, text.vocab_size, len(LABELS))
    return Classifier(model, DocumentReader(text, config.layout, False), LABELS, **options)


def language_model(config: Any, **options: Any) -> Generator:
    return Generator(built(config, tokenizer().vocab_size), tokenizer(), **options)


def translator(config: Any, **options: Any) -> Translator:
    size = tokenizer().vocab_size
    return Translator(built(config, size, size), tokenizer(), tokenizer(), **options)


def image_classifier(config: Any, **options: Any) -> ImageClassifier:
    model = built(config, len(LABELS))
    return ImageClassifier(model, LABELS, Preprocessing(size=SIZE), **options)


def captioner(config: Any, **options: Any) -> Captioner:
    return Captioner(built(config, tokenizer().vocab_size), tokenizer(), Preprocessing(size=SIZE), **options)
