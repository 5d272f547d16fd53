"""Small tasks that are made up as they are learnt, in a loop of their own: no corpus, no files, no checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attnkit import ops
from attnkit._core import Tensor
from attnkit._tensor import no_grad
from attnkit.nn import Module
from attnkit.optim import Adam, clip_grad_norm_, cosine

Logits = Callable[[np.random.Generator], tuple[Tensor, np.ndarray]]
"""Draws a batch: the model's logits [B, classes] and the true classes [B]."""


def fit(
    model: Module,
    logits: Logits,
    steps: int,
    learning_rate: float,
    seed: int,
    after: Callable[[int], None] = lambda step: None,
) -> None:
    """Trains with Adam on fresh batches. after: is called behind each step, with its number from 1."""
    random = np.random.default_rng(seed)
    optimizer = Adam(model.parameters(), lr=learning_rate)
    schedule = cosine(learning_rate, max(steps, 2), warmup_steps=min(20, max(steps, 2) - 1))
    for step in range(1, steps + 1):
        optimizer.lr = schedule(step)
        optimizer.zero_grad()
        found, labels = logits(random)
        ops.cross_entropy(found, labels).backward()
        clip_grad_norm_(optimizer.params, 1.0)
        optimizer.step()
        after(step)


def accuracy(logits: Logits, batches: int, seed: int) -> float:
    """The share, in percent, of fresh examples whose class is the likeliest."""
    random = np.random.default_rng(seed)
    right: list[np.ndarray] = []
    with no_grad():
        for _ in range(batches):
            found, labels = logits(random)
            right.append(found.numpy().argmax(axis=1) == labels)
    return 100.0 * float(np.concatenate(right).mean())
