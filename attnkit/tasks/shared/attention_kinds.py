"""From what the layers of a model gave (`nn.watching`) to kinds of attention, of one text or image at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attnkit.explain.maps.weights import AttentionWeights
from attnkit.nn.attention import CrossAttention, SelfAttention
from attnkit.nn.watching import Seen, head_weights


def self_attention(
    seen: Sequence[Seen], part: str, kind: str, tokens: Sequence[str], axis: str, **more: Any
) -> list[AttentionWeights]:
    """The self-attention of the layers whose name begins with `part`, [layers, heads, n, n]; none where it has none.

    tokens: what the layers read; axis: what that is.
    """
    found = [_heads(each, each.args[1], each.args[1]) for each in _of(seen, SelfAttention, part)]
    if not found:
        return []
    return [AttentionWeights(kind, np.stack(found), tokens, tokens, query_axis=axis, key_axis=axis, **more)]


def cross_attention(
    seen: Sequence[Seen], part: str, queries: Sequence[str], keys: Sequence[str], axes: tuple[str, str], **more: Any
) -> list[AttentionWeights]:
    """The same of cross-attention, [layers, heads, n, m]; axes: what queries and keys are."""
    found = [_heads(each, each.args[1], each.args[3]) for each in _of(seen, CrossAttention, part)]
    if not found:
        return []
    return [AttentionWeights("cross", np.stack(found), queries, keys, query_axis=axes[0], key_axis=axes[1], **more)]


def _of(seen: Sequence[Seen], layer: type, part: str) -> list[Seen]:
    return [each for each in seen if isinstance(each.module, layer) and each.name.startswith(part)]


def _heads(seen: Seen, queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    [weights] = head_weights(seen.weights, seen.module.heads, np.asarray(queries), np.asarray(keys))
    return weights
