"""Looking inside: every layer's weights of one run of a model, without a change to any layer or output."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attnkit._core import Tensor
from attnkit.nn.module import Module


@dataclass(frozen=True, slots=True)
class Seen:
    """One call of a layer that computes weights: its dotted name in the model, the layer, what it was called with, what
    it gave otherwise, and the weights as it gives them."""

    name: str
    module: Any
    args: tuple[Any, ...]
    output: Any
    weights: Any
    kwargs: dict[str, Any] = field(default_factory=dict)


@contextmanager
def watching(model: Module) -> Iterator[list[Seen]]:
    """Collects the weights of each layer of `model` that computes some, in the order of calls, while the block runs.

    A layer is watched by one convention: where its class says `returns_weights`, forward takes return_weights=True and
    then gives the weights behind what it gives without; a result that is a NamedTuple with a field `weights` has them
    always. What callers get is the same, to the bit. Calls of other threads are left alone.

        with no_grad(), nn.watching(model) as seen:
            model.encode(ids, offsets)
        seen[0].name, seen[0].weights

    Of a model of one's own with an LSTM in it, `seen[0].weights[0].forget` are the forget gates of the first layer,
    [T, D·hidden_size]; examples/lstm_gates.py is the whole. A cell is seen once a step.
    """
    seen: list[Seen] = []
    thread = threading.get_ident()
    known: set[int] = set()  # a layer that a model has under two names is watched once, under the first
    with ExitStack() as stack:
        for name, module in model.named_modules():
            if id(module) in known:
                continue
            known.add(id(module))
            watcher = _Watcher(name, seen, thread)
            if module.returns_weights:
                stack.enter_context(module.register_forward_pre_hook(watcher.ask, with_kwargs=True))
                stack.enter_context(module.register_forward_hook(watcher.take, with_kwargs=True))
            else:
                stack.enter_context(module.register_forward_hook(watcher.note, with_kwargs=True))
        yield seen


class _Watcher:
    """The hooks of one layer."""

    def __init__(self, name: str, seen: list[Seen], thread: int) -> None:
        self._name, self._seen, self._thread = name, seen, thread
        self._wanted: list[bool] = []  # by nested calls: whether the caller asked for the weights

    def ask(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return None
        self._wanted.append(bool(kwargs.get("return_weights")))
        return args, {**kwargs, "return_weights": True}

    def take(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        if threading.get_ident() != self._thread:
            return None
        *rest, weights = result
        output = rest[0] if len(rest) == 1 else tuple(rest)
        self._seen.append(Seen(self._name, module, args, output, weights, kwargs))
        return None if self._wanted.pop() else output

    def note(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if threading.get_ident() == self._thread and "weights" in getattr(result, "_fields", ()):
            self._seen.append(Seen(self._name, module, args, result, result.weights, kwargs))


def head_weights(flat: Tensor | np.ndarray, heads: int, queries: np.ndarray, keys: np.ndarray) -> list[np.ndarray]:
    """Flat weights of packed sentences, as `ops.packed_attention` gives them → for each sentence [heads, n, m].

    queries, keys: offsets int32 [B + 1].
    """
    array = flat.numpy(writable=False) if isinstance(flat, Tensor) else flat
    found, begin = [], 0
    for n, m in zip(np.diff(queries).tolist(), np.diff(keys).tolist(), strict=True):
        found.append(array[begin : begin + heads * n * m].reshape(heads, n, m).copy())
        begin += heads * n * m
    return found
