"""An optimizer whose state is shared out: each process keeps the moments of its own parameters, moves these, and gives
them to the others (Rajbhandari et al., "ZeRO", 2020, stage 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attnkit._core import Tensor
from attnkit.distributed.group import Group
from attnkit.distributed.wire import Floats
from attnkit.optim import Adam, Muon
from attnkit.optim.adam import arrays_of


class SharedOutOptimizer:
    """An optimizer of all parameters, which here gets the gradients of this process's own parameters alone, and so
    makes moments of these alone."""

    def __init__(self, optimizer: Adam | Muon, parameters: Sequence[Tensor], group: Group) -> None:
        """parameters: those that learn, the same for every process."""
        self._optimizer, self._group = optimizer, group
        self._parameters = list(parameters)
        self._owners = _owners([parameter.size for parameter in self._parameters], group.size)
        self._owner_of = {id(parameter): owner for parameter, owner in zip(parameters, self._owners, strict=True)}

    @property
    def lr(self) -> float:
        return self._optimizer.lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._optimizer.lr = value

    @property
    def steps(self) -> int:
        return self._optimizer.steps

    def step(self, gradient_scale: float = 1.0) -> None:
        """Moves the own parameters, whose gradients are those of all processes, and tells the others where they are."""
        moving: list[list[Tensor]] = [[] for _ in range(self._group.size)]
        for parameter, owner in zip(self._parameters, self._owners, strict=True):
            if parameter.grad is not None:
                moving[owner].append(parameter)
            if owner != self._group.rank:
                parameter.zero_grad()
        self._optimizer.step(gradient_scale)
        self._tell(moving)

    def _tell(self, moved: Sequence[Sequence[Tensor]]) -> None:
        """Every process gets the parameters that each has moved."""
        flats = [np.empty(sum(parameter.size for parameter in of_owner), np.float32) for of_owner in moved]
        rank = self._group.rank
        if moved[rank]:
            np.concatenate([parameter.numpy(writable=False).ravel() for parameter in moved[rank]], out=flats[rank])
        self._group.later(lambda wire: wire.swap([flats[rank]] * len(flats), flats)).result()
        for owner, (parameters, flat) in enumerate(zip(moved, flats, strict=True)):
            at = 0
            for parameter in parameters if owner != rank else ():
                parameter.copy_(flat[at : at + parameter.size].reshape(parameter.shape))
                at += parameter.size

    def zero_grad(self) -> None:
        self._optimizer.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """The state of all parameters, for the first process; the others get the number of steps alone."""
        own = arrays_of(entry for entry in self._optimizer.state() if self._is_own(entry.parameter))
        found: dict[str, Any] = {"steps": self.steps}
        for arrays in self._group.collect(own):
            found |= arrays
        return found

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copies what is this process's in. Raises ValueError when an array is missing or has another shape."""
        kept = {
            entry.name: state[entry.name] if self._is_own(entry.parameter) else _nothing(entry.parameter)
            for entry in self._optimizer.state()
            if entry.name in state
        }
        self._optimizer.load_state_dict({"steps": state["steps"], **kept})

    def _is_own(self, parameter: Tensor) -> bool:
        return self._owner_of[id(parameter)] == self._group.rank


def _nothing(parameter: Tensor) -> Floats:
    """Zeros, for which an optimizer takes no memory."""
    return np.zeros(parameter.shape, np.float32)


def _owners(sizes: Sequence[int], count: int) -> list[int]:
    """Who owns each parameter: the largest go first, each to whoever has least."""
    loads, owners = [0] * count, [0] * len(sizes)
    for number in sorted(range(len(sizes)), key=lambda number: (-sizes[number], number)):
        owners[number] = loads.index(min(loads))
        loads[owners[number]] += sizes[number]
    return owners
