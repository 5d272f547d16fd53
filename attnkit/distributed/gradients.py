"""The sum of the gradients of all shards of a step, over all processes.

Each batch of a step is cut into shards. Of a process's own shards the gradients are added up; then the sums of the
processes, bucket by bucket, while the rest of the backward pass goes on (Li et al., "PyTorch Distributed", 2020). Where
the numbers of shards and of processes are powers of two, the sum of all shards is that of one binary tree, whose lower
levels are in one process or in several: its bytes do not depend on how many processes there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Literal

import numpy as np

from attnkit import _tensor
from attnkit._core import Tensor
from attnkit.distributed.group import Group
from attnkit.distributed.sums import sum_of
from attnkit.distributed.wire import Floats

Precision = Literal["fp32", "bf16"]

BUCKET = 1 << 20  # numbers: 4 MB, some milliseconds of 10 Gbit/s, of which a model has enough to overlap


class _Shard:
    """What one shard, or the shards of one branch of the tree, have given. grads: a parameter's, or None; extra [E]."""

    def __init__(self, level: int, grads: list[Tensor | None], extra: Floats) -> None:
        self.level, self.grads, self.extra = level, grads, extra


class GradientSum:
    """Adds up the gradients of a step's shards; when `finish` returns they are in the parameters' `.grad`.

    For each step: `next_shard` after every shard of this process but the last, `ready` as the backward pass of the last
    one goes, and `finish`.
    """

    def __init__(self, group: Group, parameters: Iterable[Tensor], wire: Precision = "fp32") -> None:
        """wire: what gradients are on their way between processes."""
        self._group = group
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        # Backward goes from the last layers to the first.
        self._buckets = _buckets([parameter.size for parameter in self.parameters])
        self._bucket_of = {number: at for at, bucket in enumerate(self._buckets) for number in bucket}
        self._add = sum_of(group.size, half=wire == "bf16")
        self._add_precisely = sum_of(group.size, half=False)
        self._before: list[_Shard] = []
        self._start()

    def _start(self) -> None:
        self._waiting = [len(bucket) for bucket in self._buckets]
        self._launched: list[tuple[Floats, Future[Any]]] = []

    def next_shard(self, extra: Floats) -> None:
        """Puts aside what the shard has left in `.grad`, and its `extra` numbers, which are added up as well."""
        self._put_aside(_Shard(0, [parameter.grad for parameter in self.parameters], extra))
        for parameter in self.parameters:
            parameter.zero_grad()

    def _put_aside(self, shard: _Shard) -> None:
        while self._before and self._before[-1].level == shard.level:
            shard = _joined(self._before.pop(), shard)
        self._before.append(shard)

    def ready(self, number: int) -> None:
        """The gradient of this parameter, by its number, is complete in the last shard."""
        if self._group.size == 1:
            return
        self._waiting[self._bucket_of[number]] -= 1
        # In their order, which is the same for all processes.
        while len(self._launched) < len(self._buckets) and self._waiting[len(self._launched)] == 0:
            self._launch(self._buckets[len(self._launched)])

    def _launch(self, bucket: Sequence[int]) -> None:
        flat = np.empty(sum(self.parameters[number].size for number in bucket), np.float32)
        at = 0
        for number in bucket:
            size, gradient = self.parameters[number].size, self._own(number)
            # x + -0.0 is x, whatever x is; -0.0 + 0.0 is not.
            flat[at : at + size] = -0.0 if gradient is None else gradient.numpy(writable=False).ravel()
            at += size
        self._launched.append((flat, self._group.later(lambda wire: self._add(wire, flat))))

    def _own(self, number: int) -> Tensor | None:
        """The gradient of all shards of this process: up the tree from the last one."""
        gradient = self.parameters[number].grad
        for shard in reversed(self._before):
            gradient = _plus(shard.grads[number], gradient)
        return gradient

    def finish(self, extra: Floats) -> Floats:
        """The last shard is done, which gives these `extra` numbers: waits for the sums, returns that of the extra."""
        for shard in reversed(self._before):
            extra = shard.extra + extra
        if self._group.size > 1:
            extra = self._finish_with_others(extra)
        elif self._before:
            for number, parameter in enumerate(self.parameters):
                parameter.grad = self._own(number)
        self._before.clear()
        self._start()
        return extra

    def _finish_with_others(self, extra: Floats) -> Floats:
        while len(self._launched) < len(self._buckets):
            self._launch(self._buckets[len(self._launched)])
        reached = [float(self._own_reached(number)) for number in range(len(self.parameters))]
        last = np.concatenate([extra, np.array(reached, np.float32)])
        done = self._group.later(lambda wire: self._add_precisely(wire, last))
        for bucket, (flat, summed) in zip(self._buckets, self._launched, strict=True):
            summed.result()
            at = 0
            for number in bucket:
                parameter = self.parameters[number]
                part, at = flat[at : at + parameter.size], at + parameter.size
                parameter.grad = _tensor.tensor(part.reshape(parameter.shape), device=parameter.device)
        done.result()
        for parameter, anywhere in zip(self.parameters, last[len(extra) :], strict=True):
            if not anywhere:  # an optimizer leaves it alone, as one process would
                parameter.zero_grad()
        return last[: len(extra)]

    def _own_reached(self, number: int) -> bool:
        return self.parameters[number].grad is not None or any(s.grads[number] is not None for s in self._before)


def average_gradients(group: Group, parameters: Iterable[Tensor]) -> None:
    """The mean of every gradient over the processes, in `.grad` of each. One process: nothing."""
    if group.size == 1:
        return
    total = GradientSum(group, parameters)
    total.finish(np.empty(0, np.float32))
    for parameter in total.parameters:
        if parameter.grad is not None:
            parameter.grad = parameter.grad * (1.0 / group.size)


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    with _tensor.no_grad():
        return a + b


def _joined(a: _Shard, b: _Shard) -> _Shard:
    return _Shard(a.level + 1, list(map(_plus, a.grads, b.grads)), a.extra + b.extra)


def _buckets(sizes: Sequence[int]) -> list[list[int]]:
    """The numbers of the parameters, the last first, in groups of about BUCKET numbers."""
    buckets: list[list[int]] = []
    room = 0
    for number in reversed(range(len(sizes))):
        if room <= 0:
            buckets.append([])
            room = BUCKET
        buckets[-1].append(number)
        room -= sizes[number]
    return buckets


__all__ = ["GradientSum", "Precision", "average_gradients"]
