"""float32 arrays as bfloat16's bits, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from attnkit import _core, _tensor

Bits = npt.NDArray[np.uint16]


def to_bits(x: npt.NDArray[np.float32]) -> Bits:
    """Rounded to the nearest, ties to even."""
    return _tensor.tensor(x).to("bfloat16").numpy(writable=False).view(np.uint16)


def from_bits(bits: Bits) -> npt.NDArray[np.float32]:
    """Exactly, in memory of its own."""
    return _core.from_bits(np.ascontiguousarray(bits)).to("float32").numpy()
