"""First values of parameters. Random ones depend on `attnkit.manual_seed` and the order of creation alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from attnkit import _core
from attnkit._core import Tensor


class InitLimitError(ValueError):
    """A model under `skip_init` has more parameters than it may."""


_left: int | None = None  # numbers that uninitialised parameters may still take; None where they are initialised


@contextmanager
def skip_init(limit: int) -> Iterator[None]:
    """Parameters made inside are left uninitialised, for a model whose weights are about to be loaded.

    Raises InitLimitError before they take more than `limit` numbers in all."""
    global _left
    before, _left = _left, limit
    try:
        yield
    finally:
        _left = before


def _empty(shape: tuple[int, ...]) -> Tensor:
    global _left
    assert _left is not None  # callers have looked
    _left -= math.prod(shape)
    if _left < 0:
        raise InitLimitError(f"[skip_init] expected a smaller model, got a parameter of shape {list(shape)}")
    return _core.empty_parameter(shape)


def generator() -> np.random.Generator:
    """Random numbers of the next stream of `attnkit.manual_seed`."""
    seed, stream = _core.next_stream()
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, stream, 0]))


def constant(shape: tuple[int, ...], value: float) -> Tensor:
    """A parameter of one value."""
    return _empty(shape) if _left is not None else _core.parameter(np.full(shape, value, dtype=np.float32))


def uniform(shape: tuple[int, ...], bound: float) -> Tensor:
    """A parameter drawn from [-bound, bound]."""
    if _left is not None:
        return _empty(shape)
    return _core.parameter((generator().random(shape, dtype=np.float32) * 2 - 1) * np.float32(bound))


def normal(shape: tuple[int, ...], deviation: float) -> Tensor:
    """A parameter drawn from a normal distribution of mean 0."""
    if _left is not None:
        return _empty(shape)
    return _core.parameter(generator().standard_normal(shape, dtype=np.float32) * np.float32(deviation))


def xavier_uniform(shape: tuple[int, int], fan_out: int | None = None) -> Tensor:
    """Glorot and Bengio (2010): a bound of √(6 / (in + out)), for a weight [out, in] or that of another fan_out."""
    return uniform(shape, math.sqrt(6.0 / ((fan_out or shape[0]) + shape[1])))
