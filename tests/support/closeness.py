"""How near float32 results must be to float64 ones, and gradients by finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from attnkit import Tensor

Array64 = npt.NDArray[np.float64]
FLOAT32 = float(np.finfo(np.float32).eps)
BFLOAT16 = 2.0**-8


def assert_close(
    actual: Tensor | npt.ArrayLike,
    expected: npt.ArrayLike,
    terms: float = 1,
    epsilon: float = FLOAT32,
    scale: float = 0.0,
) -> None:
    """Each number within 8 · epsilon · √terms of the expected one, relative to the largest.

    terms: how many rounded numbers are summed into one. scale: the size of what was summed, where it cancels.
    """
    got = np.asarray(actual, dtype=np.float64)
    want = np.asarray(expected, dtype=np.float64)
    assert got.shape == want.shape
    assert np.isfinite(got).all()
    bound = 8 * epsilon * np.sqrt(terms) * max(scale, float(np.abs(want).max(initial=0.0)), 1e-30)
    error = float(np.abs(got - want).max(initial=0.0))
    assert error <= bound, f"off by {error:.3g}, allowed {bound:.3g}"


def numeric_gradients(
    function: Callable[..., Array64], inputs: Sequence[Array64], weights: npt.ArrayLike, step: float = 1e-5
) -> list[Array64]:
    """Central differences of sum(weights · function(*inputs)) for each number of each float64 input."""
    arrays = [np.array(x, dtype=np.float64) for x in inputs]
    upstream = np.asarray(weights, dtype=np.float64)
    gradients = []
    for array in arrays:
        gradient = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            before = array[index]
            array[index] = before + step
            above = float((function(*arrays) * upstream).sum())
            array[index] = before - step
            below = float((function(*arrays) * upstream).sum())
            array[index] = before
            gradient[index] = (above - below) / (2 * step)
        gradients.append(gradient)
    return gradients
