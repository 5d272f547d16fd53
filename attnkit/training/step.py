"""The gradient of a step: of its batches, cut into shards that several processes may share out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit import _core, _tensor
from attnkit._core import Tensor
from attnkit.distributed.gradients import GradientSum
from attnkit.distributed.group import Group
from attnkit.training.config import TrainingConfig
from attnkit.training.errors import ConfigError
from attnkit.training.task import Task, TrainingBatch

# Each shard takes its dropout's streams from a range of its own: no step of a model needs so many.
_STREAMS = 1 << 40


@dataclass(slots=True)
class ShardSums:
    """What the batches of a step have cost. loss, nll: summed over `tokens` labels of these `examples` of the training
    data. bad: those of a batch whose loss is `bad_loss`, which is not finite. streams: random streams used. stop: the
    signal that asks for the end, or 0."""

    tokens: int = 0
    loss: float = 0.0
    nll: float = 0.0
    examples: list[int] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)
    bad_loss: float = 0.0
    streams: int = 0
    stop: int = 0

    def add(self, other: ShardSums) -> None:
        """Another shard's, which comes next in order."""
        self.tokens += other.tokens
        self.loss += other.loss
        self.nll += other.nll
        self.examples += other.examples
        if other.bad and not self.bad:
            self.bad, self.bad_loss = other.bad, other.bad_loss
        self.streams = max(self.streams, other.streams)
        self.stop = self.stop or other.stop


def count_shards(config: TrainingConfig, processes: int) -> int:
    """Into how many shards a batch is cut. Raises ConfigError where the processes cannot share them out."""
    if not config.exact:
        return processes
    if config.shards % processes:
        raise ConfigError(
            f"training.shards: expected a multiple of the number of processes, {processes}, with exact = true, got "
            f"{config.shards}"
        )
    return config.shards


class StepGradient:
    """Leaves in every parameter's `.grad` that of the mean loss over all labels of a step's batches.

    Every batch is cut into `shards`: one a process, or with `training.exact` a fixed number. What a shard gives does
    not depend on who computes it: its dropout has random streams of its own, and what a model moves without a gradient
    (means of batch normalisation, a baseline, a count of batches) starts from the step's beginning in each shard and
    becomes the mean over the shards.
    """

    def __init__(self, task: Task, config: TrainingConfig, group: Group) -> None:
        """Raises ConfigError as `count_shards` does."""
        self._task, self._group = task, group
        self.shards = count_shards(config, group.size)
        each = self.shards // group.size
        task.batches.deal(range(group.rank * each, (group.rank + 1) * each), self.shards)
        self._sum = GradientSum(group, task.model.parameters(), config.wire)
        self._moving = list(task.model.moving()) if self.shards > 1 else []

    def draw(self, count: int) -> list[list[TrainingBatch | None]]:
        """This process's shards of the next `count` batches, or fewer at the end of an epoch: of each batch a list."""
        data = self._task.batches
        batches: list[list[TrainingBatch | None]] = []
        while len(batches) < count and not (batches and data.index >= len(data)):
            batches.append(data.next_shards())
        return batches

    def __call__(self, batches: Sequence[Sequence[TrainingBatch | None]], stop: int) -> ShardSums:
        """The same sums for every process. stop: a signal that has reached this one."""
        own = [[batch for batch in shard if batch is not None] for shard in zip(*batches, strict=True)]
        all_tokens = self._group.begin_gather(sum(batch.tokens for shard in own for batch in shard))
        seed, stream = _core.random_state()
        start = self._moved()
        found = []
        for number, shard in enumerate(own):
            first = stream + (self._group.rank * len(own) + number) * _STREAMS
            _core.set_random_state((seed, first))
            self._move(start)
            is_last = number == len(own) - 1
            sums = self._shard(shard, all_tokens, watch=is_last)
            sums.streams, sums.stop = _core.random_state()[1] - first, stop
            found.append(sums)
            extra = np.append(self._moved(), np.float32(1.0)) * np.float32(bool(shard))
            if not is_last:
                self._sum.next_shard(extra)
        return self._together(found, self._sum.finish(extra), (seed, stream))

    def _together(self, found: list[ShardSums], moved: npt.NDArray[np.float32], random: tuple[int, int]) -> ShardSums:
        total = ShardSums()
        for of_process in self._group.gather(found):
            for sums in of_process:
                total.add(sums)
        _core.set_random_state((random[0], random[1] + total.streams))
        self._move(moved[:-1] / moved[-1])
        return total

    def _shard(self, batches: Sequence[TrainingBatch], all_tokens: Callable[[], list[int]], watch: bool) -> ShardSums:
        """One shard of all batches. watch: it is the last one, whose gradients are summed as they become complete."""
        sums = ShardSums()
        for number, batch in enumerate(batches):
            output = self._task.loss(batch)
            loss = output.loss.item()
            sums.tokens += batch.tokens
            sums.loss += loss * batch.tokens
            sums.nll += output.nll_sum
            examples = batch.indices.tolist()
            sums.examples += examples
            if not math.isfinite(loss):
                sums.bad, sums.bad_loss = examples, loss
                return sums
            # Each loss is a mean over its own tokens; the step's gradient is that of the mean over all of them.
            self._backward(output.loss, batch.tokens / sum(all_tokens()), watch and number == len(batches) - 1)
        return sums

    def _backward(self, loss: Tensor, share: float, watch: bool) -> None:
        weight: Any = None if share == 1.0 else _tensor.tensor(np.asarray(share, np.float32), device=loss.device)
        if watch and self._group.size > 1:
            _core.backward_watched(loss, weight, self._sum.parameters, self._sum.ready)
        else:
            loss.backward(weight)

    def _moved(self) -> npt.NDArray[np.float32]:
        """What the model moves without a gradient, one behind the other."""
        values = [buffer.numpy(writable=False).ravel() for buffer in self._moving]
        return np.concatenate(values) if values else np.empty(0, np.float32)

    def _move(self, values: npt.NDArray[np.float32]) -> None:
        at = 0
        for buffer in self._moving:
            buffer.copy_(values[at : at + buffer.size].reshape(buffer.shape))
            at += buffer.size
