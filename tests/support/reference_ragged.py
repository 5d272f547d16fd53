"""Plain float64 formulas of attention between packed sentences. Flat arrays hold the [N, M] block of each sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import reference

Array64 = npt.NDArray[np.float64]
Offsets = npt.NDArray[np.int32]


def blocks(query_offsets: Offsets, key_offsets: Offsets) -> Iterator[tuple[slice, slice, slice]]:
    """For each sentence its queries, its keys, and where its pairs lie in a flat array."""
    pairs = 0
    for b in range(len(query_offsets) - 1):
        queries, keys = slice(query_offsets[b], query_offsets[b + 1]), slice(key_offsets[b], key_offsets[b + 1])
        size = (queries.stop - queries.start) * (keys.stop - keys.start)
        yield queries, keys, slice(pairs, pairs + size)
        pairs += size


def by_sentence(
    query_offsets: Offsets, key_offsets: Offsets, block: Callable[[slice, slice, slice], Array64]
) -> Array64:
    """The flat array of what `block` gives for each sentence, [N, M]."""
    parts = [block(*place).ravel() for place in blocks(query_offsets, key_offsets)]
    return np.concatenate([np.zeros(0), *parts])


def dots(query: Array64, key: Array64, qo: Offsets, ko: Offsets) -> Array64:
    return by_sentence(qo, ko, lambda q, k, _: query[q] @ key[k].T)


def additive(
    query: Array64,
    key: Array64,
    v: Array64,
    qo: Offsets,
    ko: Offsets,
    coverage: Array64 | None = None,
    coverage_weight: Array64 | None = None,
) -> Array64:
    def block(q: slice, k: slice, pairs: slice) -> Array64:
        z = query[q][:, None, :] + key[k][None, :, :]
        if coverage is not None and coverage_weight is not None:
            z = z + coverage[pairs].reshape(z.shape[:2])[:, :, None] * coverage_weight
        return np.asarray(np.tanh(z) @ v)

    return by_sentence(qo, ko, block)


def softmax(
    scores: Array64, qo: Offsets, ko: Offsets, begins: Offsets | None = None, ends: Offsets | None = None
) -> Array64:
    def block(q: slice, k: slice, pairs: slice) -> Array64:
        s = scores[pairs].reshape(q.stop - q.start, k.stop - k.start)
        if begins is not None and ends is not None:
            j = np.arange(s.shape[1])
            s = np.where((j >= begins[q, None]) & (j < ends[q, None]), s, -np.inf)
        return reference.softmax(s) if s.size else s

    return by_sentence(qo, ko, block)


def sums(weights: Array64, value: Array64, qo: Offsets, ko: Offsets) -> Array64:
    out = np.zeros((qo[-1], value.shape[1]))
    for q, k, pairs in blocks(qo, ko):
        if k.stop > k.start:
            out[q] = weights[pairs].reshape(q.stop - q.start, k.stop - k.start) @ value[k]
    return out


def key_sums(weights: Array64, qo: Offsets, ko: Offsets) -> Array64:
    parts = [weights[p].reshape(q.stop - q.start, k.stop - k.start).sum(axis=0) for q, k, p in blocks(qo, ko)]
    return np.concatenate([np.zeros(0), *parts])


def gaussian(weights: Array64, centres: Array64, sigma: float, qo: Offsets, ko: Offsets) -> Array64:
    def block(q: slice, k: slice, pairs: slice) -> Array64:
        j = np.arange(k.stop - k.start)
        bell = np.exp(-((j - centres[q, None]) ** 2) / (2 * sigma**2))
        return weights[pairs].reshape(bell.shape) * bell

    return by_sentence(qo, ko, block)


def chain_marginals(scores: Array64, transitions: Array64, qo: Offsets, ko: Offsets) -> Array64:
    """By summing over every assignment of z; for short rows."""

    def block(q: slice, k: slice, pairs: slice) -> Array64:
        keys = k.stop - k.start
        z = np.array(list(product((0, 1), repeat=keys)), dtype=np.int64)
        energy = scores[pairs].reshape(q.stop - q.start, keys) @ z.T + transitions[z[:, :-1], z[:, 1:]].sum(axis=1)
        return reference.softmax(energy) @ z

    return by_sentence(qo, ko, block)


def unit_rows(x: Array64, eps: float = 1e-6) -> Array64:
    return np.asarray(x / np.maximum(np.sqrt((x**2).sum(axis=-1, keepdims=True)), eps))
