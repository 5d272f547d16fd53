"""A task that is no translation: a straight line fitted to numbers. What the trainer does can be computed by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import attnkit
from attnkit import nn
from attnkit.data.order import Epochs, shards
from attnkit.models import save_weights


class Batch(NamedTuple):
    inputs: np.ndarray
    outputs: np.ndarray
    indices: np.ndarray
    tokens: int


class Loss(NamedTuple):
    loss: attnkit.Tensor
    nll_sum: float
    tokens: int


class Batches(Epochs[Batch]):
    """Batches of the given sizes, in the same order in every epoch."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__("fake", seed=1)
        random = np.random.default_rng(3)
        ends = np.cumsum(sizes)
        inputs = random.standard_normal((int(ends[-1]), 2)).astype(np.float32)
        outputs = inputs @ np.array([[2.0], [-1.0]], np.float32) + 0.5
        self.all = [
            Batch(inputs[end - size : end], outputs[end - size : end], np.arange(end - size, end, dtype=np.int32), size)
            for size, end in zip(sizes, ends, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.all)

    def _shards(self, index: int, parts: range, of: int) -> list[Batch | None]:
        inputs, outputs, indices, tokens = self.all[index]
        cuts = [cut for number, cut in enumerate(shards(np.ones(tokens, np.int64), of)) if number in parts]
        made = [Batch(inputs[cut], outputs[cut], indices[cut], len(indices[cut])) for cut in cuts]
        return [batch if batch.tokens else None for batch in made]

    def _settings(self) -> dict[str, int]:
        return {}


@dataclass
class LineTask:
    """`losses` may replace the validation losses; `on_loss` sees the number of each call of `loss`, counted from 1."""

    sizes: tuple[int, ...] = (4, 4, 4)
    losses: list[float] = field(default_factory=list)
    on_loss: Callable[[int, attnkit.Tensor], attnkit.Tensor | None] | None = None

    def __post_init__(self) -> None:
        attnkit.manual_seed(1)
        self.model = nn.Linear(2, 1)
        self.batches = Batches(self.sizes)
        self.calls = self.validations = 0
        self.modes: set[bool] = set()

    def loss(self, batch: Batch) -> Loss:
        self.calls += 1
        assert self.model.training
        difference = self.model(attnkit.tensor(batch.inputs)) - attnkit.tensor(batch.outputs)
        loss = (difference * difference).mean()
        changed = self.on_loss(self.calls, loss) if self.on_loss else None
        loss = loss if changed is None else changed
        return Loss(loss, loss.item() * batch.tokens, batch.tokens)

    def validate(self, check: Callable[[], None], final: bool = False) -> dict[str, Any]:
        check()
        assert not self.model.training
        if not self.losses:
            return {}
        self.validations += 1
        return {"validation_loss": self.losses[min(self.validations, len(self.losses)) - 1]}

    def test(self, check: Callable[[], None]) -> dict[str, Any]:
        return {}

    def save(self, folder: Path) -> None:
        save_weights(self.model.state_dict(), folder / "model.safetensors")
