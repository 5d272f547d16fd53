"""The order of examples, drawn by seed and epoch alone and the same for ever, and a place in it that can be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
B = TypeVar("B")


class Epochs(ABC, Generic[B]):
    """Iterates over batches, epoch after epoch: each `for` loop runs to the end of the current epoch.

    `state_dict()` between any two batches, given to `load_state_dict()` of another object over the same data with the
    same settings, continues with the same next batch. A subclass says how many batches an epoch has, which they are,
    and which numbers tell its data and settings from others.
    """

    def __init__(self, name: str, seed: int) -> None:
        """`name` begins the messages of errors. Raises ValueError for a seed that is none."""
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"[{name}] expected a seed of 64 bits, got {seed}")
        self._name, self._seed = name, seed
        self._epoch = self._index = 0

    @property
    def epoch(self) -> int:
        """The current epoch, from 0. It advances when a loop ends."""
        return self._epoch

    @property
    def index(self) -> int:
        """How many batches of this epoch have been given out."""
        return self._index

    @abstractmethod
    def __len__(self) -> int:
        """The number of batches in the current epoch."""

    @abstractmethod
    def _batch(self, index: int) -> B:
        """Batch number `index` of the current epoch."""

    @abstractmethod
    def _settings(self) -> dict[str, int]:
        """What a position depends on; plain numbers, ready for JSON."""

    def _jumped(self) -> None:
        """Called when the position is set anew: what was prepared for the old one is of no use."""

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        if self.turn():
            raise StopIteration
        index = self._index
        self._index += 1
        return self._batch(index)

    def turn(self) -> bool:
        """Goes on to the next epoch if this one is used up; returns whether it did."""
        if self._index < len(self):
            return False
        self._epoch, self._index = self._epoch + 1, 0
        return True

    def state_dict(self) -> dict[str, int]:
        """The position and what it depends on; plain numbers, ready for JSON."""
        return {"epoch": self._epoch, "index": self._index, **self._settings()}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continues from a saved position. Raises ValueError for a state of other settings or of other data."""
        for key, value in self._settings().items():
            if state.get(key) != value:
                raise ValueError(f"[{self._name}] expected a position with {key} = {value}, got {state.get(key)}")
        epoch, index = state.get("epoch", -1), state.get("index", -1)
        if epoch < 0:
            raise ValueError(f"[{self._name}] expected an epoch of at least 0, got {epoch}")
        previous, self._epoch = self._epoch, epoch
        count = len(self)
        if not 0 <= index <= count:
            self._epoch = previous
            raise ValueError(f"[{self._name}] expected an index in [0, {count}] of epoch {epoch}, got {index}")
        self._index = index
        self._jumped()


def epoch_order(seed: int, epoch: int, count: int) -> Int64Array:
    """A random order of `count` examples, by the seed and the epoch alone."""
    return permutation(epoch_random(seed, epoch), count)


def epoch_random(seed: int, epoch: int) -> np.random.Philox:
    """The random numbers of an epoch."""
    return np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64))


def permutation(random: np.random.Philox, count: int) -> Int64Array:
    """A random order from the raw bits, which NumPy keeps the same for ever; Generator.permutation may change."""
    return np.argsort(random.random_raw(count), kind="stable").astype(np.int64)


def held_out(count: int, share: float, seed: int) -> tuple[list[int], list[int]]:
    """(the rest, the held-out ones) of `count` numbers: about `share` of them drawn by the seed, in order. With two or
    more, each part has one."""
    order = permutation(np.random.Philox(key=seed), count)
    size = min(max(1, round(share * count)), count - 1)
    return sorted(order[size:].tolist()), sorted(order[:size].tolist())
