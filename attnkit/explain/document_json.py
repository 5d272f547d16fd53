"""Classified documents as JSON, for other programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np

from ..files import atomic_write
from .attention_map import Weights
from .document_map import DocumentMap

FORMAT = "attnkit.documents"
VERSION = 1


def write_documents_json(path: str | os.PathLike[str], documents: Sequence[DocumentMap]) -> None:
    """Writes `{"format", "version", "documents": [{"title", "classes", "sentences": [{"tokens", "weights", "weight"},
    ...]}, ...]}`: a sentence's own weight, and those of its tokens, rounded to seven decimals. Errors: OSError."""
    document = {"format": FORMAT, "version": VERSION, "documents": [_plain(each) for each in documents]}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    with atomic_write(path) as file:
        # A lone surrogate, which UTF-8 cannot hold, becomes \udcXX: exactly JSON's own escape for it.
        file.write(text.encode("utf-8", "backslashreplace"))


def _plain(document: DocumentMap) -> dict[str, object]:
    sentences = zip(document.sentences, document.words, document.sentence_weights, strict=True)
    return {
        "title": document.title,
        "classes": [{"label": label, "probability": probability} for label, probability in document.classes],
        "sentences": [
            {"tokens": list(tokens), "weights": _rounded(weights), "weight": round(float(weight), 7)}
            for tokens, weights, weight in sentences
        ],
    }


def _rounded(weights: Weights) -> list[float]:
    rounded: list[float] = np.round(weights.astype(np.float64), 7).tolist()
    return rounded
