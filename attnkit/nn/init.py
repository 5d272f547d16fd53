"""First values of parameters. Random ones depend on `attnkit.manual_seed` and the order of creation alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from attnkit import _core
from attnkit._core import Tensor


class InitLimitError(ValueError):
    """A model under `skip_init` has more parameters than it may."""


# Numbers that uninitialised parameters may still take; None where they are initialised. Each thread has its own: one
# that loads a model must not take the first values from another that makes one.
_left: ContextVar[int | None] = ContextVar("numbers left", default=None)


@contextmanager
def skip_init(limit: int) -> Iterator[None]:
    """Parameters made inside, by this thread, are left uninitialised, for a model whose weights are about to be loaded.

    Raises InitLimitError before they take more than `limit` numbers in all."""
    before = _left.set(limit)
    try:
        yield
    finally:
        _left.reset(before)


def _uninitialised(shape: tuple[int, ...]) -> Tensor | None:
    """A parameter under `skip_init`, None elsewhere."""
    left = _left.get()
    if left is None:
        return None
    if math.prod(shape) > left:
        raise InitLimitError(f"[skip_init] expected a smaller model, got a parameter of shape {list(shape)}")
    _left.set(left - math.prod(shape))
    return _core.empty_parameter(shape)


def generator() -> np.random.Generator:
    """Random numbers of the next stream of `attnkit.manual_seed`."""
    seed, stream = _core.next_stream()
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, stream, 0]))


def constant(shape: tuple[int, ...], value: float) -> Tensor:
    """A parameter of one value."""
    empty = _uninitialised(shape)
    return _core.parameter(np.full(shape, value, dtype=np.float32)) if empty is None else empty


def uniform(shape: tuple[int, ...], bound: float) -> Tensor:
    """A parameter drawn from [-bound, bound]."""
    if (empty := _uninitialised(shape)) is not None:
        return empty
    return _core.parameter((generator().random(shape, dtype=np.float32) * 2 - 1) * np.float32(bound))


def normal(shape: tuple[int, ...], deviation: float) -> Tensor:
    """A parameter drawn from a normal distribution of mean 0."""
    if (empty := _uninitialised(shape)) is not None:
        return empty
    return _core.parameter(generator().standard_normal(shape, dtype=np.float32) * np.float32(deviation))


def xavier_uniform(shape: tuple[int, int], fan_out: int | None = None) -> Tensor:
    """Glorot and Bengio (2010): a bound of √(6 / (in + out)), for a weight [out, in] or that of another fan_out."""
    return uniform(shape, math.sqrt(6.0 / ((fan_out or shape[0]) + shape[1])))
