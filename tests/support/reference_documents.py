"""Plain float64 formulas of attention pooling and of the hierarchical attention network, document by document."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import reference
from reference import Array64, Ids
from reference_recurrent import recurrent

Weights = Mapping[str, np.ndarray]


def attention_pooling(
    x: Array64, offsets: Ids, weight: Array64, bias: Array64, context: Array64
) -> tuple[Array64, Array64]:
    """(pooled [B, D], weights [T]): u = tanh(W h + b), α = softmax(u · context), Σ α h (Yang et al., 2016)."""
    pooled, weights = np.zeros((len(offsets) - 1, x.shape[1])), np.zeros(len(x))
    for b, (begin, end) in enumerate(pairwise(offsets)):
        if end > begin:
            h = x[begin:end]
            alpha = reference.softmax(np.tanh(h @ weight.T + bias) @ context)
            pooled[b], weights[begin:end] = alpha @ h, alpha
    return pooled, weights


def han(
    parameters: Weights, ids: Ids, sentence_offsets: Ids, document_offsets: Ids
) -> tuple[Array64, Array64, Array64]:
    """(logits [B, classes], word weights [T], sentence weights [S])."""
    p = {name: np.asarray(array, np.float64) for name, array in parameters.items()}

    def level(name: str, x: Array64, offsets: Ids) -> tuple[Array64, Array64]:
        gru = f"{name}.gru.layers.0."
        hidden, batch = p[gru + "hidden_weight"].shape[1], len(offsets) - 1
        zero = np.zeros((2, batch, hidden))
        states, _, _ = recurrent(
            "gru",
            x @ p[gru + "input_weight"].T + p[gru + "input_bias"],
            offsets,
            p[gru + "hidden_weight"],
            p[gru + "hidden_bias"],
            zero,
            zero,
            "both",
        )
        pooling = f"{name}.pooling."
        return attention_pooling(
            states,
            offsets,
            p[pooling + "projection.weight"],
            p[pooling + "projection.bias"],
            p[pooling + "context"][0],
        )

    sentences, word_weights = level("words", p["embedding.weight"][ids], sentence_offsets)
    documents, sentence_weights = level("sentences", sentences, document_offsets)
    return documents @ p["output.weight"].T + p["output.bias"], word_weights, sentence_weights
