"""Guided alignment: attention that learns to be a word alignment (Chen et al., 2016)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from attnkit._core import Tensor
from attnkit._tensor import tensor

Ints = npt.NDArray[np.integer]

# A weight that is less costs as much as this one: what has no weight at all costs something finite.
_LEAST = 1e-30


class Aligned(Protocol):
    """A batch whose alignment is known (see attnkit.text.Batch)."""

    @property
    def source_offsets(self) -> Ints: ...
    @property
    def target_offsets(self) -> Ints: ...
    @property
    def link_sources(self) -> Ints: ...
    @property
    def link_targets(self) -> Ints: ...


def alignment_loss(weights: Tensor, places: Ints, targets: Ints) -> Tensor:
    """-Σ_i Σ_j A_ij log(weights_ij), a scalar: Chen et al. (2016), section 4, before the mean over tokens.

    weights: attention, in any order, a distribution over the source for each target token. Link l says that target
    token targets[l] is aligned with the source token whose weight is weights[places[l]]. A_ij is 1 / n for each of the
    n links of token i, and 0 for others, so that a token without links costs nothing.
    """
    shares = 1.0 / np.bincount(targets)[targets]
    seen = np.maximum(weights.numpy().reshape(-1)[places].astype(np.float64), _LEAST)
    cost = -float((shares * np.log(seen)).sum())
    slopes = np.zeros(weights.shape, np.float32)
    slopes[places] = -shares / seen
    # What has the loss's gradient; its own value is taken off.
    linear = (weights * tensor(slopes, device=weights.device)).sum()
    return linear - linear.detach() + cost


def block_places(batch: Aligned) -> Ints:
    """Where the weight of each link lies in flat weights, the [n, m] block of each sentence after the other."""
    sentence, row, column = link_positions(batch)
    lengths = np.diff(batch.source_offsets).astype(np.int64)
    begins = np.concatenate([[0], np.cumsum(np.diff(batch.target_offsets) * lengths)])
    return np.asarray(begins[sentence] + row * lengths[sentence] + column)


def step_places(batch: Aligned) -> Ints:
    """The same in weights step by step: at each step those of all sentences that still have a token, longest first."""
    _, row, _ = link_positions(batch)
    lengths = np.diff(batch.target_offsets)
    active = (lengths[None, :] > np.arange(lengths.max(initial=0))[:, None]).sum(axis=1)
    begins = np.concatenate([[0], np.cumsum(np.asarray(batch.source_offsets)[active], dtype=np.int64)])
    return np.asarray(begins[row] + batch.link_sources)


def link_positions(batch: Aligned) -> tuple[Ints, Ints, Ints]:
    """The sentence of each link, and its target and source token, counted in the sentence from 0."""
    sentence = np.searchsorted(batch.target_offsets, batch.link_targets, side="right") - 1
    row = batch.link_targets - np.asarray(batch.target_offsets)[sentence]
    return sentence, row, batch.link_sources - np.asarray(batch.source_offsets)[sentence]
