"""What an output is worth that max_length cuts, where the end that it then gets is no token of it.

The compiled search counts an end in every length. transformers counts none unless it is forced to write one
(`forced_eos_token_id`): a sum s over L tokens is worth s / L ** length_penalty there and s / (L + 1) ** length_penalty
here. The end of such an output, which costs nothing, is therefore made to cost what evens this out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from attnkit import _beam
from attnkit.decoding.options import DecodingOptions
from attnkit.decoding.protocol import Floats, Ids


class CutEnds:
    """The log-probabilities of the R live rows, and the ends that max_lengths [B] force."""

    def __init__(self, options: DecodingOptions, max_lengths: Ids, rows: int) -> None:
        self._options, self._max_lengths = options, max_lengths
        self._totals: npt.NDArray[np.float64] = np.zeros(rows)

    def ratio(self, length: int) -> float:
        """By what a sum is multiplied so that the length of the tokens and the end counts as that of the tokens."""
        base = 5.0 if self._options.normalization == "gnmt" else 0.0
        return float(((base + length + 1) / (base + length)) ** self._options.length_penalty)

    def charge(self, search: _beam.Search, values: Floats) -> None:
        """Sets the cost of the ends that this step forces; values [rows, k], the best first."""
        cut = search.step >= self._max_lengths[search.row_sentences()]
        if cut.any():
            values[cut, 0] = self._totals[cut] * (self.ratio(search.step) - 1.0)

    def extend(self, parents: Ids, last: Ids, values: Floats, indices: Ids) -> None:
        """Row r goes on from row parents[r] of before, by the token last[r], which was one of its candidates."""
        places = (indices[parents] == last[:, None]).argmax(axis=1)
        self._totals = self._totals[parents] + values[parents, places]
