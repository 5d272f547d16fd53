"""One kind of weights of a model: all its layers and heads, and what their rows and columns stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from attnkit._tensor import float_array
from attnkit.explain.drawing.pieces import word_spans
from attnkit.explain.weights import Weights

Scale = Literal["share", "gate"]
Grid = tuple[int, int]


@dataclass(frozen=True, eq=False)
class AttentionWeights:
    """How strongly each query looks at each key: float32 [layers, heads, queries, keys], finite and not negative.

    kind: "encoder", "decoder", "cross", "gates.forget", ..., as in `AttentionMaps`.
    queries, keys: the pieces (words, characters, regions, units) of the rows and of the columns.
    scale: "share" where a row sums to one (or less, where a key is hidden or the last step is a Gaussian), "gate" where
    each number is from 0 to 1 by itself.
    query_axis, key_axis: what they are, such as "translation (written)" and "source (read)".
    query_grid, key_grid: (rows, columns) of an image, whose regions, row by row, are the last rows * columns of the
    queries or keys; None for text.
    centres: float32 [queries], where a local window or a sampled position lies among the keys, from 0; None otherwise.
    layer_names, head_names: where they have names of their own, such as "forward"; numbers from 1 otherwise.
    sizes: how many keys each layer has where they differ, such as the channels of the stages of a CNN; what lies beyond
    is 0 and means nothing. None where all have all.
    Errors: ValueError for weights of another shape, negative or not finite.
    """

    kind: str
    weights: Weights
    queries: Sequence[str]
    keys: Sequence[str]
    scale: Scale = "share"
    query_axis: str = ""
    key_axis: str = ""
    query_grid: Grid | None = None
    key_grid: Grid | None = None
    centres: npt.NDArray[np.float32] | None = None
    layer_names: Sequence[str] = ()
    head_names: Sequence[str] = ()
    sizes: Sequence[int] | None = None

    def __post_init__(self) -> None:
        queries, keys, weights = tuple(self.queries), tuple(self.keys), float_array(self.weights)
        if weights.ndim != 4 or weights.shape[2:] != (len(queries), len(keys)) or 0 in weights.shape[:2]:
            expected = f"[layers, heads, {len(queries)}, {len(keys)}] (queries and keys)"
            raise ValueError(f"[attention] expected {self.kind} weights of shape {expected}, got {list(weights.shape)}")
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError(f"[attention] expected {self.kind} weights that are finite and not negative")
        for name, grid, count in (("query", self.query_grid, len(queries)), ("key", self.key_grid, len(keys))):
            if grid is not None and grid[0] * grid[1] > count:
                raise ValueError(f"[attention] expected a {name}_grid of at most {count} regions, got {list(grid)}")
        for field, value in (("queries", queries), ("keys", keys), ("weights", weights)):
            object.__setattr__(self, field, value)

    @property
    def layers(self) -> int:
        return len(self.weights)

    @property
    def heads(self) -> int:
        return int(self.weights.shape[1])

    @property
    def words(self) -> list[str]:
        """The keys, pieces of one word joined."""
        return _joined(self.keys)

    @property
    def query_words(self) -> list[str]:
        """The queries, pieces of one word joined."""
        return _joined(self.queries)

    def by_word(self) -> AttentionWeights:
        """The same between words: weights are summed over the pieces of a word that is read and averaged over those of
        a word that looks, so that rows that sum to one still do. Gates are averaged on both sides."""
        weights, queries, keys = self.weights.astype(np.float64), self.queries, self.keys
        if keys and self.key_grid is None:
            spans = word_spans(keys)
            weights, keys = np.add.reduceat(weights, [start for start, _ in spans], axis=-1), _joined(keys)
            if self.scale == "gate":
                weights = weights / np.array([end - start for start, end in spans])
        if queries and self.query_grid is None:
            spans = word_spans(queries)
            lengths = np.array([end - start for start, end in spans], dtype=np.float64)
            weights = np.add.reduceat(weights, [start for start, _ in spans], axis=-2) / lengths[:, None]
            queries = _joined(queries)
        same = tuple(keys) == self.keys and tuple(queries) == self.queries
        centres = self.centres if same else None
        return replace(self, weights=weights.astype(np.float32), queries=queries, keys=keys, centres=centres)

    def view(self, layer: int | None = None, head: int | None = None) -> Weights:
        """One [queries, keys] matrix: that layer and head, counted from 1, or the mean over those left as None.

        Errors: IndexError for a layer or head that there is not.
        """
        chosen = self.chosen(layer, head).weights
        return np.asarray(chosen.mean(axis=(0, 1), dtype=np.float64), dtype=np.float32)

    def chosen(self, layer: int | None = None, head: int | None = None) -> AttentionWeights:
        """The same kind, of one layer or head alone, counted from 1. Errors: IndexError for one that there is not."""
        picks = []
        for name, number, count in (("layer", layer, self.layers), ("head", head, self.heads)):
            if number is not None and not 1 <= number <= count:
                raise IndexError(f"[attention] expected a {name} of {self.kind} from 1 to {count}, got {number}")
            picks.append(slice(None) if number is None else slice(number - 1, number))
        names = [self.layer_name(index) for index in range(self.layers)][picks[0]]
        heads = [self.head_name(index) for index in range(self.heads)][picks[1]]
        sizes = None if self.sizes is None else list(self.sizes)[picks[0]]
        weights = self.weights[picks[0], picks[1]]
        return replace(self, weights=weights, layer_names=names, head_names=heads, sizes=sizes)

    def layer_name(self, index: int) -> str:
        """Of the layer at an index from 0."""
        return self.layer_names[index] if self.layer_names else f"layer {index + 1}"

    def head_name(self, index: int) -> str:
        """Of the head at an index from 0."""
        return self.head_names[index] if self.head_names else f"head {index + 1}"


def _joined(tokens: Sequence[str]) -> list[str]:
    from attnkit.explain.sentence.merge import joined

    return joined(tokens, word_spans(tokens))
