"""Ops with wrong shapes, types, strides, values and options: each call ends in a result or in a clear error."""

from __future__ import annotations

import json
import os
import warnings
from contextlib import suppress
from random import Random
from typing import Any

import children
import numpy as np
import numpy.typing as npt

import attnkit
from fuzz import op_arguments, op_oddities

NOTE = "seed"  # the file that says which call is being made
CLEAR = (ValueError, TypeError, IndexError, MemoryError, OverflowError, BufferError)


def call_many(first: int, count: int) -> int:
    """The calls of `count` seeds; prints (seed, fault) of each that ends otherwise than it should, as JSON lines."""
    note = os.open(NOTE, os.O_WRONLY | os.O_CREAT)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    for seed in range(first, first + count):
        os.pwrite(note, str(seed).encode(), 0)
        children.set_alarm(children.SECONDS)
        if what := call(seed):
            print(json.dumps([seed, what]), flush=True)
    return 0


def call(seed: int) -> str | None:
    name, arguments, options, rng = _prepare(seed)
    attnkit.manual_seed(1)
    try:
        with attnkit.precision(rng.choice(["fp32", "fp32", "bf16", "int8"])):
            _read(op_arguments.function(name)(*arguments, **options), [*arguments, *options.values()])
    except CLEAR:
        return None
    except Exception as error:
        return f"{name} raises {type(error).__name__}: {str(error)[:150]}"
    return None


def describe(seed: int) -> None:
    """Prints the call of a seed, makes it, and says how it ends."""
    name, arguments, options, _ = _prepare(seed)
    print(f"attnkit {name}, with")
    for key, value in [*enumerate(arguments), *options.items()]:
        text = " ".join(repr(value).split())
        print(f"  {key}: {_kind(value)} {text[:200]}")
    children.set_alarm(children.SECONDS)
    print(call(seed) or "no fault")


def _prepare(seed: int) -> tuple[str, list[Any], dict[str, Any], Random]:
    """A sound call made odd in up to three arguments; half of them with gradients."""
    rng, numbers = Random(f"ops {seed}"), np.random.default_rng(seed)
    name = rng.choice(op_arguments.NAMES)
    given, options = op_arguments.make(name, numbers)
    arguments = list(given)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        places: Any = rng.choice([arguments, options]) if options else arguments
        if places:
            key = rng.choice(list(places) if isinstance(places, dict) else range(len(places)))
            with suppress(ValueError, TypeError, OverflowError):  # what is odd already may not be made odder
                places[key] = op_oddities.odd(places[key], rng)
    if rng.random() < 0.5:
        arguments, options = [_tensor(each) for each in arguments], {k: _tensor(v) for k, v in options.items()}
    return name, arguments, options, rng


def _tensor(value: Any) -> Any:
    if isinstance(value, list):
        return [_tensor(each) for each in value]
    sound = isinstance(value, np.ndarray) and value.dtype == np.float32
    return attnkit.tensor(value, requires_grad=True) if sound else value


def _read(result: Any, inputs: list[Any]) -> None:
    """Looks at every number of the result and of the gradients: memory that is not there would show."""
    results = _flat(result)
    total = None
    for each in results:
        if isinstance(each, attnkit.Tensor) and each.requires_grad:
            total = each.sum() if total is None else total + each.sum()
    if total is not None:
        total.backward()
    grads = [each.grad for each in inputs if isinstance(each, attnkit.Tensor)]
    for each in [*results, *grads]:
        if each is not None:
            _array(each).sum()


def _flat(result: Any) -> list[Any]:
    if isinstance(result, tuple | list):
        return [inner for each in result for inner in _flat(each)]
    return [result]


def _array(value: Any) -> npt.NDArray[Any]:
    return value.numpy() if isinstance(value, attnkit.Tensor) else np.asarray(value)


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return (
        type(value).__name__ if shape is None else f"{type(value).__name__}{list(shape)} {getattr(value, 'dtype', '')}"
    )
