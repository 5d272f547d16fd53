"""Attention weights as JSON, for other programs: one writer, and what it writes of each subject.

Weights are rounded to seven decimals, which float32 does not exceed for values near 1. Tokens are as the tokenizer gave
them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnkit.explain.document.map import DocumentMap
from attnkit.explain.image.map import ImageMap
from attnkit.explain.sentence.map import AttentionMap
from attnkit.explain.weights import Weights
from attnkit.files import atomic_write

if TYPE_CHECKING:
    from attnkit.explain.maps.maps import AttentionMaps
    from attnkit.explain.maps.weights import AttentionWeights

VERSION = 1

Path = str | os.PathLike[str]


def write_json(path: Path, maps: Sequence[AttentionMap]) -> None:
    """Writes `{"format", "version", "maps": [{"title", "source_tokens", "target_tokens", "weights"}, ...]}`.

    `weights` is nested as in the map: `[target][source]`, with `[heads]` or `[layers][heads]` before them. Raises
    OSError.
    """
    _write(path, "attnkit.attention", "maps", [_sentence(attention) for attention in maps])


def write_documents_json(path: Path, documents: Sequence[DocumentMap]) -> None:
    """Writes `{"format", "version", "documents": [{"title", "classes", "sentences": [{"tokens", "weights", "weight"},
    ...]}, ...]}`: a sentence's own weight, and those of its tokens. Raises OSError."""
    _write(path, "attnkit.documents", "documents", [_document(document) for document in documents])


def write_images_json(path: Path, images: Sequence[ImageMap]) -> None:
    """Writes `{"format", "version", "images": [{"title", "caption", "tokens", "weights"}, ...]}`.

    `weights` is [token][row][column] over the square that the model saw; `gates`, of a model that has them, a number
    for each token. Raises OSError.
    """
    _write(path, "attnkit.image-attention", "images", [_image(image) for image in images])


def write_maps_json(path: Path, maps: Sequence[AttentionMaps]) -> None:
    """Writes `{"format", "version", "inputs": [{"title", "output", "kinds": [{"kind", "scale", "layers", "heads",
    "queries", "keys", "words", "weights", ...}, ...]}, ...]}`.

    `weights` is [layer][head][query][key]; `words` are the keys, pieces joined. Raises OSError.
    """
    _write(path, "attnkit.attention-maps", "inputs", [_maps(each) for each in maps])


def _write(path: Path, format: str, key: str, content: list[dict[str, Any]]) -> None:
    document = {"format": format, "version": VERSION, key: content}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    with atomic_write(path) as file:
        # A lone surrogate, which UTF-8 cannot hold, becomes \udcXX: exactly JSON's own escape for it.
        file.write(text.encode("utf-8", "backslashreplace"))


def _sentence(attention: AttentionMap) -> dict[str, Any]:
    return {
        "title": attention.title,
        "source_tokens": list(attention.source_tokens),
        "target_tokens": list(attention.target_tokens),
        "weights": _rounded(attention.weights),
    }


def _document(document: DocumentMap) -> dict[str, Any]:
    sentences = zip(document.sentences, document.words, document.sentence_weights, strict=True)
    return {
        "title": document.title,
        "classes": [{"label": label, "probability": probability} for label, probability in document.classes],
        "sentences": [
            {"tokens": list(tokens), "weights": _rounded(weights), "weight": round(float(weight), 7)}
            for tokens, weights, weight in sentences
        ],
    }


def _image(image: ImageMap) -> dict[str, Any]:
    return {
        "title": image.title,
        "caption": image.caption,
        "tokens": list(image.tokens),
        "weights": _rounded(image.weights),
    } | ({} if image.gates is None else {"gates": _rounded(np.asarray(image.gates))})


def _maps(maps: AttentionMaps) -> dict[str, Any]:
    return {"title": maps.title, "output": maps.output, "kinds": [_kind(each) for each in maps.values()]}


def _kind(kind: AttentionWeights) -> dict[str, Any]:
    return {
        "kind": kind.kind,
        "scale": kind.scale,
        "layers": [kind.layer_name(index) for index in range(kind.layers)],
        "heads": [kind.head_name(index) for index in range(kind.heads)],
        "query_axis": kind.query_axis,
        "key_axis": kind.key_axis,
        "queries": list(kind.queries),
        "keys": list(kind.keys),
        "words": kind.words,
        "query_grid": kind.query_grid,
        "key_grid": kind.key_grid,
        "centres": None if kind.centres is None else _rounded(kind.centres),
        "sizes": None if kind.sizes is None else list(kind.sizes),
        "weights": _rounded(kind.weights),
    }


def _rounded(weights: Weights) -> Any:
    """Nested lists of the numbers."""
    return np.round(weights.astype(np.float64), 7).tolist()
