"""Plain float64 formulas of the scores and normalisers, from the weights of our layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import reference
import reference_ragged as ragged

from attnkit import nn

Array64 = npt.NDArray[np.float64]
Offsets = npt.NDArray[np.int32]
Weights = dict[str, Array64]


def weights_of(module: nn.Module) -> Weights:
    return {name: array.astype(np.float64) for name, array in module.state_dict().items()}


def scores(
    name: str, p: Weights, query: Array64, memory: Array64, qo: Offsets, ko: Offsets, coverage: Array64 | None = None
) -> Array64:
    """Flat scores, by the name that the configuration has for them; p are the parameters of the score."""
    if name in ("additive", "concat"):
        keys = memory @ p["key.weight"].T + p.get("key.bias", 0.0)
        projected = query @ p["query.weight"].T
        return ragged.additive(projected, keys, p["v"], qo, ko, coverage, p.get("coverage_weight"))
    if name == "dot":
        return ragged.dots(query, memory, qo, ko)
    if name == "scaled-dot":
        return ragged.dots(query, memory, qo, ko) / np.sqrt(query.shape[1])
    if name == "general":
        return ragged.dots(query, memory @ p["key.weight"].T, qo, ko)
    if name == "scaled-general":
        return ragged.dots(query, memory @ p["key.weight"].T, qo, ko) / np.sqrt(query.shape[1])
    if name == "location":
        return ragged.by_sentence(qo, ko, lambda q, k, _: query[q] @ p["weight"][: k.stop - k.start].T)
    cosines = ragged.dots(ragged.unit_rows(query), ragged.unit_rows(memory), qo, ko)
    return np.asarray(np.exp(p["log_sharpness"]) * cosines)


def positions(qo: Offsets) -> npt.NDArray[np.integer[Any]]:
    return np.concatenate([np.arange(n) for n in np.diff(qo)])


def predicted_centres(p: Weights, query: Array64, qo: Offsets, ko: Offsets) -> Array64:
    lengths = np.repeat(np.diff(ko), np.diff(qo))
    return np.asarray(lengths * reference.sigmoid(np.tanh(query @ p["hidden.weight"].T) @ p["v"][0]))


def weights(
    name: str, p: Weights, score: Array64, query: Array64, qo: Offsets, ko: Offsets, window: int = 10
) -> Array64:
    """Flat weights, by the name of the normaliser; p are its parameters. Hard attention as in evaluation."""
    if name == "softmax":
        return ragged.softmax(score, qo, ko)
    if name == "local-m":
        centres = np.minimum(positions(qo), np.repeat(np.diff(ko), np.diff(qo)) - 1)
        return ragged.softmax(score, qo, ko, centres - window, centres + window + 1)
    if name == "local-p":
        p_t = predicted_centres(p, query, qo, ko)
        begins, ends = np.ceil(p_t - window).astype(np.int32), np.floor(p_t + window).astype(np.int32) + 1
        return ragged.gaussian(ragged.softmax(score, qo, ko, begins, ends), p_t, window / 2, qo, ko)
    if name == "structured":
        return ragged.chain_marginals(score, p["transitions"], qo, ko)

    def one_hot(q: slice, k: slice, pairs: slice) -> Array64:
        block = score[pairs].reshape(q.stop - q.start, k.stop - k.start)
        return np.eye(block.shape[1])[block.argmax(axis=1)]

    return ragged.by_sentence(qo, ko, one_hot)
