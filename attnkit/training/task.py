"""What a task gives to the trainer. Translation is one; classification, captions and language models are others.

The trainer knows nothing of text or images: it asks for batches, for the loss of one, and for the figures of a
validation.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from attnkit._core import Tensor
from attnkit.nn import Module
from attnkit.training.metrics import Figure

Check = Callable[[], None]
"""Called between batches of a long evaluation; raises where the run is to end."""


class Loss(Protocol):
    """What a batch cost: a scalar tensor, the mean over `tokens` of what is optimised; and summed -log p."""

    @property
    def loss(self) -> Tensor: ...
    @property
    def nll_sum(self) -> float: ...
    @property
    def tokens(self) -> int: ...


class TrainingBatch(Protocol):
    """A batch, or a shard of one, as the trainer sees it: how many labels it has, and which examples of the data it
    holds."""

    @property
    def tokens(self) -> int: ...
    @property
    def indices(self) -> npt.NDArray[np.int32]: ...


def checksum(batch: Any) -> int:
    """Of all arrays of a batch, by which two processes find out that they have other data."""
    names = getattr(batch, "_fields", None) or [field.name for field in dataclasses.fields(batch)]
    found = 0
    for name in names:
        value = getattr(batch, name)
        # An array of None would hold its address, which is another in each process.
        found = zlib.crc32(b"" if value is None else np.ascontiguousarray(np.asarray(value)).tobytes(), found)
    return found


class Batches(Protocol):
    """The training data, epoch after epoch, in an order that can be resumed: `attnkit.data.order.Epochs`."""

    @property
    def epoch(self) -> int: ...
    @property
    def index(self) -> int: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __next__(self) -> Any: ...
    def deal(self, parts: range, of: int) -> None: ...
    def pick(self, numbers: Sequence[int]) -> Iterator[Any]: ...
    def next_shards(self) -> list[Any]: ...
    def turn(self) -> bool: ...
    def state_dict(self) -> dict[str, int]: ...
    def load_state_dict(self, state: Mapping[str, int]) -> None: ...


class Task(Protocol):
    """One thing that a model can learn.

    A task whose labels are not tokens says in an attribute `unit` what they are, such as "documents", for the log. A
    model whose training has stages says in an attribute `stage` which one it is in, none the main one: their losses are
    not one curve.

    A task that measures the same after training as during it says so in an attribute `final_is_usual`: weights that a
    validation has measured are not measured again.

    A task whose model has learnt before says so in an attribute `pretrained`: it is then measured before its first
    step, and is the best until a validation is better. An attribute `lr_factors` multiplies the learning rate, by the
    names of parameters; those that do not require a gradient stay as they are.
    """

    @property
    def model(self) -> Module: ...
    @property
    def batches(self) -> Batches: ...

    def loss(self, batch: Any) -> Loss:
        """The loss of a training batch, on the tape. The model is in training mode."""
        ...

    def validate(self, check: Check, final: bool = False) -> Mapping[str, Figure]:
        """Figures of the validation data, none where there is no such data; `final` is the one after training, which
        may take longer. The model is in evaluation mode."""
        ...

    def test(self, check: Check) -> Mapping[str, Figure]:
        """Figures of the test data, their names starting with `test_`; none where there is no such data."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the model directory: config.json, model.safetensors and what reads the input."""
        ...
