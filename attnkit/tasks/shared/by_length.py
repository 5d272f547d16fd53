"""Batches of inputs of about one length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches_by_length(items: Iterable[T], length: Callable[[T], int], batch_tokens: int) -> Iterator[list[T]]:
    """Items of about one length together, longest first, up to `batch_tokens` a batch, but at least one. Of one length
    they keep their order; what has no length is in no batch."""
    batch: list[T] = []
    tokens = 0
    for size, item in sorted(((length(item), item) for item in items), key=lambda pair: -pair[0]):
        if not size:
            break
        if batch and tokens + size > batch_tokens:
            yield batch
            batch, tokens = [], 0
        batch.append(item)
        tokens += size
    if batch:
        yield batch
