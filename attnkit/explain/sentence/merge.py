"""From the attention of pieces to that of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attnkit.explain.drawing.pieces import WORD_START, word_spans
from attnkit.explain.sentence.map import AttentionMap


def merge_pieces(attention: AttentionMap, *, source: bool = True, target: bool = True) -> AttentionMap:
    """The map between words: weights are summed over the pieces of a source word (a target piece divides its attention
    among them) and averaged over the pieces of a target word (each spends a whole 1). Rows that sum to 1 still do.

    `source` and `target` say which side is merged. Heads and layers are kept.
    """
    weights = attention.weights.astype(np.float64)
    source_tokens, target_tokens = attention.source_tokens, attention.target_tokens
    if source and source_tokens:
        spans = word_spans(source_tokens)
        weights = np.add.reduceat(weights, [start for start, _ in spans], axis=-1)
        source_tokens = joined(source_tokens, spans)
    if target and target_tokens:
        spans = word_spans(target_tokens)
        lengths = np.array([end - start for start, end in spans], dtype=np.float64)
        weights = np.add.reduceat(weights, [start for start, _ in spans], axis=-2) / lengths[:, None]
        target_tokens = joined(target_tokens, spans)
    return replace(
        attention, source_tokens=source_tokens, target_tokens=target_tokens, weights=weights.astype(np.float32)
    )


def joined(tokens: Sequence[str], spans: list[tuple[int, int]]) -> list[str]:
    """The words whose pieces lie between those positions."""
    return ["".join(tokens[start:end]).removeprefix(WORD_START).replace(WORD_START, " ") for start, end in spans]
