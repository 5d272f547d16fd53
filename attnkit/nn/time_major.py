"""Packed sentences step by step: all first tokens, then all second ones, for models that stop at every step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import index_array


class TimeMajor:
    """Sentences longest first, so that those still running at a step are always the first rows.

    order [B]: which sentence is in which place. rows [T]: the packed token of each (step, place). active [steps]: how
    many sentences have a token at each step.
    """

    def __init__(self, offsets: np.ndarray) -> None:
        lengths = np.diff(offsets)
        self.order = np.argsort(-lengths, kind="stable").astype(np.int32)
        steps = np.arange(lengths.max(initial=0))
        running = lengths[self.order][None, :] > steps[:, None]
        self.active = running.sum(axis=1)
        self.rows = (offsets[:-1][self.order][None, :] + steps[:, None])[running].astype(np.int32)
        self._back = np.empty_like(self.rows)
        self._back[self.rows] = np.arange(len(self.rows), dtype=np.int32)

    def split(self, x: Tensor) -> list[Tensor]:
        """Packed [T, D] → for each step the tokens of the sentences still running."""
        return ops.split(ops.gather_rows(x, self.rows), self.active.tolist())

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """The opposite of `split`."""
        return ops.gather_rows(ops.concatenate(list(parts)), self._back)

    def offsets(self, step: int) -> np.ndarray:
        """The rows of a step as offsets of the sentences in their places, int32 [B + 1]: one row or none for each."""
        return index_array(np.minimum(np.arange(len(self.order) + 1), self.active[step]), "offsets")


def sorted_offsets(offsets: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The offsets of the same sentences in another order."""
    return index_array(np.concatenate([[0], np.cumsum(np.diff(offsets)[order])]), "offsets")


def tokens_of(offsets: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The packed tokens of the chosen sentences, one sentence after the other."""
    lengths = np.diff(offsets)[chosen]
    begins = np.concatenate([[0], np.cumsum(lengths)])
    return (np.repeat(offsets[:-1][chosen] - begins[:-1], lengths) + np.arange(begins[-1])).astype(np.int32)
