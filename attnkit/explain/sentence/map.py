"""What every drawing starts from: two lists of tokens and the attention weights between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnkit._tensor import float_array
from attnkit.explain.weights import Weights


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """How strongly each target token attended to each source token.

    `weights` is [target, source], [heads, target, source] or [layers, heads, target, source], finite and not negative;
    it is kept as float32. Either list may be empty (an empty line has no tokens). `title` stands above the drawing,
    `source_axis` and `target_axis` beside its columns and rows.
    Errors: ValueError for weights of another shape, negative or not finite.
    """

    source_tokens: Sequence[str]
    target_tokens: Sequence[str]
    weights: Weights
    title: str = ""
    source_axis: str = "source (read)"
    target_axis: str = "target (written)"

    def __post_init__(self) -> None:
        source, target = tuple(self.source_tokens), tuple(self.target_tokens)
        weights = float_array(self.weights)
        if weights.ndim not in (2, 3, 4) or weights.shape[-2:] != (len(target), len(source)) or 0 in weights.shape[:-2]:
            expected = f"[{len(target)}, {len(source)}] ([target, source]), with [heads] or [layers, heads] before them"
            raise ValueError(f"[attention_map] expected weights of shape {expected}, got {list(weights.shape)}")
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError("[attention_map] expected weights that are finite and not negative")
        object.__setattr__(self, "source_tokens", source)
        object.__setattr__(self, "target_tokens", target)
        object.__setattr__(self, "weights", weights)

    @property
    def layers(self) -> int:
        """How many layers `weights` holds: 1 unless it has four dimensions."""
        return self.weights.shape[0] if self.weights.ndim == 4 else 1

    @property
    def heads(self) -> int:
        """How many heads each layer of `weights` holds: 1 when it has two dimensions."""
        return self.weights.shape[-3] if self.weights.ndim > 2 else 1

    def by_layer_and_head(self) -> Weights:
        """The same weights as [layers, heads, target, source], without a copy."""
        return self.weights.reshape(self.layers, self.heads, *self.weights.shape[-2:])

    def view(self, layer: int | None = None, head: int | None = None) -> Weights:
        """One [target, source] matrix: that layer and head, or the mean over those left as None.

        Errors: IndexError for a layer or head that the map does not hold.
        """
        for name, index, count in (("layer", layer, self.layers), ("head", head, self.heads)):
            if index is not None and not 0 <= index < count:
                raise IndexError(f"[attention_map] expected a {name} from 0 to {count - 1}, got {index}")
        weights = self.by_layer_and_head()
        chosen = weights[slice(None) if layer is None else slice(layer, layer + 1)]
        chosen = chosen[:, slice(None) if head is None else slice(head, head + 1)]
        return np.asarray(chosen.mean(axis=(0, 1), dtype=np.float64), dtype=np.float32)
