"""Attention weights as JSON, for other programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import numpy as np

from ..files import atomic_write
from .attention_map import AttentionMap

FORMAT = "attnkit.attention"
VERSION = 1


def write_json(path: str | os.PathLike[str], maps: Sequence[AttentionMap]) -> None:
    """Writes `{"format", "version", "maps": [{"title", "source_tokens", "target_tokens", "weights"}, ...]}`.

    `weights` is nested as in the map: `[target][source]`, with `[heads]` or `[layers][heads]` before them, rounded to
    seven decimals, which float32 does not exceed for values near 1. Tokens are as the tokenizer gave them. Raises
    OSError.
    """
    document = {"format": FORMAT, "version": VERSION, "maps": [_plain(attention) for attention in maps]}
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    with atomic_write(path) as file:
        # A lone surrogate, which UTF-8 cannot hold, becomes \udcXX: exactly JSON's own escape for it.
        file.write(text.encode("utf-8", "backslashreplace"))


def _plain(attention: AttentionMap) -> dict[str, object]:
    return {
        "title": attention.title,
        "source_tokens": list(attention.source_tokens),
        "target_tokens": list(attention.target_tokens),
        "weights": np.round(attention.weights.astype(np.float64), 7).tolist(),
    }
