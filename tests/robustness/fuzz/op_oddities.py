"""An argument of an op made odd: another shape, type, stride, alignment or value, or nothing of the kind at all."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt

import attnkit

INTEGERS = [0, 1, -1, -2, 2, 3, 7, 255, 2**31 - 1, -(2**31), 2**31, 2**32, 2**62, 2**63 - 1, -(2**63), 2**64, 10**30]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 1e-45, 3.4e38, -3.4e38, 1e300, float("nan"), float("inf"), -float("inf"), 1 - 1e-9]
TYPES = ["f2", "f8", "i1", "i4", "i8", "u8", "?", ">f4", ">i4", "c8", "g"]
JUNK: list[Any] = [
    *(None, "x", b"x", [], (), {}, object(), 1j, True, [[1, 2], [3]], np.array("x"), np.zeros(0), np.zeros((2, 0, 3))),
    *(np.array(5.0), np.array([None, 1], object), np.zeros(4, dtype="M8[s]")),
]


def odd(value: Any, rng: Random) -> Any:
    if rng.random() < 0.06:
        return rng.choice(JUNK)
    match value:
        case np.ndarray():
            return odd_array(value, rng)
        case attnkit.Tensor():
            made = odd_array(value.numpy(writable=False).copy(), rng)
            return attnkit.tensor(made) if made.dtype.kind == "f" else made
        case bool():
            return rng.random() < 0.5
        case int():
            return rng.choice(INTEGERS)
        case float():
            return rng.choice(NUMBERS)
        case str():
            return rng.choice(["", "relu", "both", "x" * 100, "\0"])
        case slice():
            return slice(rng.randrange(-9, 9), rng.randrange(-9, 9), rng.choice([None, 1, 2, -1]))
        case tuple() | list() if value:
            several = list(value)
            at = rng.randrange(len(several))
            several[at] = odd(several[at], rng)
            return type(value)(several[:-1] if rng.random() < 0.2 else several)
    return value


def odd_array(array: npt.NDArray[Any], rng: Random) -> npt.NDArray[Any]:
    with np.errstate(all="ignore"):
        match rng.randrange(12) if array.ndim and array.size else 8:
            case 0:
                shape = list(array.shape)
                shape[rng.randrange(array.ndim)] += rng.choice([-1, 1, 2])
                return np.resize(array, shape)
            case 1:
                shape = list(array.shape)
                shape[rng.randrange(array.ndim)] = 0
                return np.zeros(shape, array.dtype)
            case 2:
                return rng.choice([array.reshape(-1), array[None], array[..., 0]])
            case 3:
                return rng.choice([array.T, array[::-1], np.repeat(array, 2, -1)[..., ::2]])
            case 4:
                return np.broadcast_to(array.flat[0], array.shape)
            case 5:
                return array.astype(rng.choice(TYPES))
            case 6:
                made = array.copy()
                made.flags.writeable = False
                return made
            case 7:
                made = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)  # misaligned
                made[...] = array
                return made
        made = array.copy()
        for _ in range(rng.randrange(1, 4) if made.size and made.dtype.kind in "fi" else 0):
            values = NUMBERS if made.dtype.kind == "f" else [0, -1, 1, 5, made.size, 1000, 2**31 - 1, -(2**31), -100]
            made.flat[rng.randrange(made.size)] = rng.choice(values)
        return made
