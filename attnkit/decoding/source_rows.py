"""The rows of a decoder's state and the sources that they share."""

from __future__ import annotations

import numpy as np

from attnkit.nn.time_major import sorted_offsets, tokens_of


class SourceRows:
    """Which source each row belongs to. Rows of one source are adjacent, and sources stay in their order.

    offsets int32 [sources + 1]: the packed tokens of the sources. source_of [rows]: rising.
    """

    def __init__(self, offsets: np.ndarray) -> None:
        self.offsets = np.asarray(offsets, dtype=np.int32)
        self.source_of = np.arange(len(offsets) - 1)

    def __len__(self) -> int:
        return len(self.source_of)

    def row_offsets(self) -> np.ndarray:
        """The rows of each source as offsets, int32 [sources + 1]."""
        return np.searchsorted(self.source_of, np.arange(len(self.offsets))).astype(np.int32)

    def pair_offsets(self) -> np.ndarray:
        """Where the source tokens of each row lie in a flat array of pairs, [rows + 1]."""
        return np.concatenate([[0], np.cumsum(np.diff(self.offsets)[self.source_of])])

    def select(self, rows: np.ndarray) -> np.ndarray | None:
        """New row i is old row rows[i]. Returns the tokens of the sources that are left, None where all are."""
        kept, self.source_of = np.unique(self.source_of[rows], return_inverse=True)
        if len(kept) == len(self.offsets) - 1:
            return None
        tokens = tokens_of(self.offsets, kept)
        self.offsets = sorted_offsets(self.offsets, kept)
        return tokens

    def spread(self, weights: np.ndarray) -> np.ndarray:
        """Flat weights as [rows, longest source]."""
        lengths = np.diff(self.offsets)[self.source_of]
        result = np.zeros((len(self), int(lengths.max(initial=0))), dtype=np.float32)
        result[np.arange(result.shape[1]) < lengths[:, None]] = weights
        return result
