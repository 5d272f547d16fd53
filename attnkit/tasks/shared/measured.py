"""What is measured on held-out data batch by batch. The processes that train together share the batches out; what each
batch gives is put in their order again, so that sums are the same bytes for any number of processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from attnkit.data.order import B, Epochs
from attnkit.distributed import Group, group, shared
from attnkit.models.output import LossOutput
from attnkit.training.task import Check

T = TypeVar("T")


def of_batches(processes: Group, batches: Epochs[B], measure: Callable[[B], T]) -> list[T]:
    """What `measure` says of each batch of the epoch, in their order, for all processes."""
    return shared(processes, range(len(batches)), lambda numbers: [measure(batch) for batch in batches.pick(numbers)])


def mean_loss(batches: Epochs[Any], loss: Callable[[Any, float], LossOutput], check: Check) -> float:
    """-log p a label, over the epoch. loss: of a batch, with label smoothing, here none."""

    def cost(batch: Any) -> tuple[float, int]:
        check()
        output = loss(batch, 0.0)
        return output.nll_sum, output.tokens

    nll, tokens = 0.0, 0
    for of_batch, labels in of_batches(group(), batches, cost):
        nll += of_batch
        tokens += labels
    return nll / tokens
