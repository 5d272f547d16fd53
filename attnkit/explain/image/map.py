"""What every drawing of an image's attention starts from: the square that the model saw, words, and a map for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from attnkit._tensor import float_array
from attnkit.explain.drawing.pieces import labels
from attnkit.explain.weights import Weights

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class ImageMap:
    """An image, and where the model looked for each token.

    `image` is the square that the model saw, in a size for people. `weights` is [tokens, rows, columns] over that
    square, finite and not negative; it is kept as float32. `gates`: for each token a number to stand behind it, how far
    it lets in what it looks at; None where there are none. `title` says which image it is, `caption` what the model
    made of it. Errors: ValueError for weights of another shape, negative or not finite.
    """

    image: Image
    tokens: Sequence[str]
    weights: Weights
    title: str = ""
    caption: str = ""
    gates: Sequence[float] | npt.NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        tokens, weights = tuple(self.tokens), float_array(self.weights)
        if weights.ndim != 3 or len(weights) != len(tokens) or 0 in weights.shape[1:]:
            expected = f"[{len(tokens)}, rows, columns]"
            raise ValueError(f"[image_map] expected weights of shape {expected}, got {list(weights.shape)}")
        if not np.isfinite(weights).all() or (weights < 0).any():
            raise ValueError("[image_map] expected weights that are finite and not negative")
        if self.gates is not None and len(self.gates) != len(tokens):
            raise ValueError(f"[image_map] expected {len(tokens)} gates, one a token, got {len(self.gates)}")
        object.__setattr__(self, "image", self.image.convert("RGB"))
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "weights", weights)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def labels(self) -> list[str]:
        """The tokens as people read them, each with its gate, as in "woman(0.54)"."""
        if self.gates is None:
            return labels(self.tokens)
        return [f"{label}({gate:.2f})" for label, gate in zip(labels(self.tokens), self.gates, strict=True)]

    def lit(self, token: int) -> Image:
        """The image under the attention of a token, on the scale of all of them: as it is, with a glow, where most of
        it lies, and behind a veil of grey where there is none."""
        from attnkit.explain.drawing.overlay import under_attention
        from attnkit.explain.drawing.scale import scale_top

        return under_attention(self.image, self.weights[token], scale_top(self.weights))
