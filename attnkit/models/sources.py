"""Which hypotheses belong to which source while text is being written: the bookkeeping of a decoding state."""

from __future__ import annotations

import numpy as np

from attnkit._tensor import index_array


class Sources:
    """The sources that are still written about, and the rows of hypotheses that share each of them.

    `offsets`: int32 [sources + 1], of the packed memory. `of_row[r]`: the source of row r, rising.
    """

    def __init__(self, offsets: np.ndarray) -> None:
        self.offsets = index_array(offsets, "offsets")
        self.of_row = np.arange(len(offsets) - 1)

    def row_offsets(self) -> np.ndarray:
        """The rows of each source as offsets, int32 [sources + 1]."""
        return np.searchsorted(self.of_row, np.arange(len(self.offsets))).astype(np.int32)

    def select(self, rows: np.ndarray) -> np.ndarray | None:
        """New row i is old row rows[i]. → the rows of the memory that stay, or None where all do: sources that lose
        their last row are dropped."""
        kept, self.of_row = np.unique(self.of_row[rows], return_inverse=True)
        if len(kept) == len(self.offsets) - 1:
            return None
        begins, lengths = self.offsets[:-1][kept], np.diff(self.offsets)[kept]
        self.offsets = index_array(np.concatenate([[0], np.cumsum(lengths)]), "offsets")
        return np.repeat(begins - self.offsets[:-1], lengths) + np.arange(self.offsets[-1])

    def pair_offsets(self) -> np.ndarray:
        """Where the source tokens of each row lie in a flat array of pairs, [rows + 1]."""
        return np.concatenate([[0], np.cumsum(np.diff(self.offsets)[self.of_row])])

    def spread(self, weights: np.ndarray) -> np.ndarray:
        """Flat weights, the [rows, length] block of each source after the other, as [rows, longest source]."""
        lengths = np.diff(self.offsets)
        result = np.zeros((len(self.of_row), int(lengths.max(initial=0))), dtype=np.float32)
        begin = 0
        for row, source in enumerate(self.of_row):
            length = int(lengths[source])
            result[row, :length] = weights[begin : begin + length]
            begin += length
        return result
