"""The order of examples, drawn by seed and epoch alone and the same for ever, and a place in it that can be saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
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

    Where several processes train together, each batch is cut into shards, and each process makes its own (`deal`). A
    position is one of batches, so a run goes on with any number of processes.
    """

    def __init__(self, name: str, seed: int) -> None:
        """`name` begins the messages of errors. Raises ValueError for a seed that is none."""
        if not 0 <= seed < 1 << 64:
            raise ValueError(f"[{name}] expected a seed of 64 bits, got {seed}")
        self._name, self._seed = name, seed
        self._epoch = self._index = 0
        self._parts, self._of = range(1), 1

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
    def _shards(self, index: int, parts: range, of: int) -> list[B | None]:
        """The shards numbered in `parts` of batch number `index` of the current epoch, which is cut into `of`, as
        `shards` does; None for one without an example. `range(1)` of 1 is the whole batch."""

    @abstractmethod
    def _settings(self) -> dict[str, int]:
        """What a position depends on; plain numbers, ready for JSON."""

    def _jumped(self) -> None:
        """Called when the position or the deal is set anew: what was prepared for the old one is of no use."""

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        if self._of != 1:
            raise RuntimeError(f"[{self._name}] expected whole batches, got ones cut into {self._of}: see next_shards")
        return _whole(self.next_shards())

    # ----- Batches that several processes share

    def deal(self, parts: range, of: int) -> None:
        """From now on each batch is cut into `of` shards, and only those numbered in `parts` are made. Which examples a
        shard has depends on the batch and `of` alone. Raises ValueError for parts that there are not."""
        if of < 1 or parts.step != 1 or not 0 <= parts.start <= parts.stop <= of:
            raise ValueError(f"[{self._name}] expected some of at least one shard, got {parts} of {of}")
        self._parts, self._of = parts, of
        self._jumped()

    def next_shards(self) -> list[B | None]:
        """The shards of the next batch that `deal` gave to this process, in order; None for one without an example, as
        a batch of fewer examples than shards has. Raises StopIteration at the end of an epoch, and begins the next."""
        if self.turn():
            raise StopIteration
        index = self._index
        self._index += 1
        return self._shards(index, self._parts, self._of)

    def pick(self, numbers: Sequence[int]) -> Iterator[B]:
        """The whole batches of these numbers of the current epoch, without making the others: a process's share of a
        validation. The position stays where it is, and nothing is dealt."""
        return (_whole(self._shards(number, range(1), 1)) for number in numbers)

    # ----- The position

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


def _whole(shards: Sequence[B | None]) -> B:
    """The batch that was not cut."""
    (batch,) = shards
    assert batch is not None  # no batch is empty
    return batch


def shards(costs: npt.NDArray[np.integer], of: int) -> list[slice]:
    """Cuts a batch of N examples, which cost [N], into `of` runs of about one cost. Each has an example while there are
    enough of them; the last ones of a shorter batch have none."""
    count, cuts = len(costs), np.arange(of + 1)
    if count > of:
        sums = np.concatenate([[0], np.cumsum(costs, dtype=np.int64)]) * of  # integers, the same on every machine
        wanted = sums[-1] // of * cuts[1:-1]
        after = np.searchsorted(sums, wanted)
        before = np.maximum(after - 1, 0)
        nearest = np.where(wanted - sums[before] <= sums[after] - wanted, before, after)
        # Cuts rise by one at least, and leave one example for each shard behind them.
        rising = np.maximum.accumulate(np.maximum(nearest - cuts[1:-1], 0)) + cuts[1:-1]
        cuts[1:-1] = np.minimum(rising, count - of + cuts[1:-1])
        cuts[-1] = count
    return [slice(*bounds) for bounds in np.minimum([cuts[:-1], cuts[1:]], count).T.tolist()]


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
