"""What a model writes about: sentences, the regions of images, or nothing.

`decode` hands a source to the model's `start` as it is, and asks it only how many texts are to be written and how long
the source of each is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from attnkit._core import Tensor
from attnkit._tensor import index_array
from attnkit.decoding.protocol import Ids


class Packed(msgspec.Struct, frozen=True, eq=False):
    """B sentences, none of them empty: ids int32 [T], and offsets int32 [B + 1] that rise from 0 to T.

    Raises ValueError for others.
    """

    ids: Ids
    offsets: Ids

    def __post_init__(self) -> None:
        ids, offsets = self.ids, self.offsets
        if ids.dtype != np.int32 or ids.ndim != 1 or offsets.dtype != np.int32 or offsets.ndim != 1 or not len(offsets):
            raise ValueError(
                "[Packed] expected int32 ids [T] and offsets [B + 1], "
                f"got {ids.dtype} {list(ids.shape)} and {offsets.dtype} {list(offsets.shape)}"
            )
        if offsets[0] != 0 or offsets[-1] != len(ids) or self.lengths.min(initial=1) < 1:
            raise ValueError(
                f"[Packed] expected offsets that rise from 0 to {len(ids)} with no empty source, got {offsets.tolist()}"
            )
        _hold(self, "ids", "offsets")

    @classmethod
    def of(cls, sentences: Iterable[Sequence[int] | Ids]) -> Packed:
        """The ids of each sentence, one behind the other."""
        parts = [np.asarray(sentence, np.int32) for sentence in sentences]
        offsets = np.cumsum([0, *map(len, parts)]).astype(np.int32)
        return cls(np.concatenate([np.zeros(0, np.int32), *parts]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ids:
        return np.diff(self.offsets)


class Regions(msgspec.Struct, frozen=True, eq=False):
    """What a decoder sees of B images: memory [S, width], offsets int32 [B + 1], and the (rows, columns) that the
    regions of each image form, row by row, behind tokens that are no place in it, where an encoder has such."""

    memory: Tensor
    offsets: Ids
    grid: tuple[int, int]

    def __post_init__(self) -> None:
        _hold(self, "offsets")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ids:
        """Regions of each image, and the tokens before them."""
        return np.diff(self.offsets)

    @property
    def before(self) -> int:
        """How many tokens stand before the regions of an image."""
        return int(self.lengths.max(initial=0)) - self.grid[0] * self.grid[1] if len(self) else 0


class Nothing(msgspec.Struct, frozen=True):
    """`texts` texts that are written from nothing, as a language model does; what they begin with is a prefix."""

    texts: int

    def __post_init__(self) -> None:
        if self.texts < 0:
            raise ValueError(f"[Nothing] expected texts >= 0, got {self.texts}")

    def __len__(self) -> int:
        return self.texts

    @property
    def lengths(self) -> Ids:
        return np.zeros(self.texts, np.int32)


def _hold(source: msgspec.Struct, *names: str) -> None:
    """Makes the Indices of a source: once, and not in each op that its fields are given to."""
    for name in names:
        msgspec.structs.force_setattr(source, name, index_array(getattr(source, name), name))
