"""early_stopping of Hugging Face transformers: a search ends once as many hypotheses are finished as it follows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from attnkit import _beam
from attnkit.decoding.protocol import Floats, Ids

_LEAST = np.float32(-np.inf)


class EarlyStopping:
    """Which sentences of a search have `beam` finished hypotheses, and how the search is told to leave them.

    A sentence lives as long as one of its rows can go on. The rows of a full one get nothing to go on with, not even an
    end, so that the next step drops them and finishes nothing.
    """

    def __init__(self, beam: int, eos: int) -> None:
        self._beam, self._eos = beam, eos
        self._full: set[int] = set()

    def rows(self, search: _beam.Search) -> npt.NDArray[np.bool_] | None:
        """The rows of full sentences, [rows]; None where there are none."""
        return np.isin(search.row_sentences(), list(self._full)) if self._full else None

    def look(self, search: _beam.Search, indices: Ids) -> None:
        """After a step, the candidates of which were `indices` [rows, k]."""
        self._full.clear()
        if (indices == self._eos).any():
            live = np.unique(search.row_sentences()).tolist()
            self._full.update(sentence for sentence in live if len(search.results(sentence)) == self._beam)


def close_asked(rows: npt.NDArray[np.bool_] | None, offsets: Ids, asked: Floats) -> None:
    """What the rows asked for, of `Search.ask`, becomes impossible."""
    for row in () if rows is None else np.flatnonzero(rows):
        asked[offsets[row] : offsets[row + 1]] = _LEAST


def close(rows: npt.NDArray[np.bool_] | None, values: Floats) -> None:
    """All that the rows of values [rows, ...] have becomes impossible."""
    if rows is not None:
        values[rows] = _LEAST
