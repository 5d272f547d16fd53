"""Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019): one fused pass over each parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from attnkit import _core
from attnkit._core import Tensor
from attnkit._tensor import float_array


class Entry(NamedTuple):
    """What an optimizer keeps of a parameter under a name of its state; None before the parameter's first gradient."""

    name: str
    parameter: Tensor
    kept: Tensor | None


class Adam:
    """m ← β₁m + (1-β₁)g, v ← β₂v + (1-β₂)g², w ← w - lr · m̂ / (√v̂ + eps). Weight decay is added to the gradient.

    lr_factors: by which `lr` is multiplied, one for each parameter; as it is where they are not given.
    """

    decoupled = False

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        lr_factors: Iterable[float] | None = None,
    ) -> None:
        if lr < 0 or eps <= 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                "[optim] expected lr >= 0, eps > 0, weight_decay >= 0 and betas in [0, 1), "
                f"got {lr}, {eps}, {weight_decay} and {betas}"
            )
        self.params = list(params)
        self.lr_factors = [1.0] * len(self.params) if lr_factors is None else list(lr_factors)
        if len(self.lr_factors) != len(self.params) or not all(factor >= 0 for factor in self.lr_factors):
            raise ValueError(f"[optim] expected {len(self.params)} lr_factors >= 0, got {self.lr_factors}")
        self.lr, self.betas, self.eps, self.weight_decay = lr, betas, eps, weight_decay
        self.steps = 0
        self._moments: list[tuple[Tensor, Tensor] | None] = [None] * len(self.params)

    def step(self, gradient_scale: float = 1.0) -> None:
        """Updates every parameter that has a gradient, which is multiplied by `gradient_scale` first."""
        self.steps += 1
        for index, (parameter, factor) in enumerate(zip(self.params, self.lr_factors, strict=True)):
            if parameter.grad is not None:
                _core.adam_step(
                    parameter, parameter.grad, *self._moments_of(index), self.steps, self.lr * factor, *self.betas,
                    self.eps, self.weight_decay, self.decoupled, gradient_scale,
                )  # fmt: skip

    def _moments_of(self, index: int) -> tuple[Tensor, Tensor]:
        """Zeros before the first gradient: a parameter that gets none, or in another process, takes no memory."""
        found = self._moments[index]
        if found is None:
            parameter = self.params[index]
            found = _core.zeros(parameter.shape, parameter.device), _core.zeros(parameter.shape, parameter.device)
            self._moments[index] = found
        return found

    def zero_grad(self) -> None:
        for parameter in self.params:
            parameter.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """`steps`, and arrays `moment1.I` and `moment2.I` for parameter I (not copied)."""
        return {"steps": self.steps, **arrays_of(self.state())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copies the arrays in. Raises ValueError when one is missing or has another shape."""
        for index, parameter in enumerate(self.params):
            names = f"moment1.{index}", f"moment2.{index}"
            arrays = [checked(name, parameter, state) for name in names]
            if self._moments[index] is not None or any(array.any() for array in arrays):
                for moment, array in zip(self._moments_of(index), arrays, strict=True):
                    moment.copy_(array)
        self.steps = int(state["steps"])

    def state(self) -> Iterator[Entry]:
        """What is kept of each parameter."""
        for index, (parameter, moments) in enumerate(zip(self.params, self._moments, strict=True)):
            for number in (0, 1):
                yield Entry(f"moment{number + 1}.{index}", parameter, None if moments is None else moments[number])


class AdamW(Adam):
    """Adam with decoupled weight decay: w ← w - lr · (m̂ / (√v̂ + eps) + weight_decay · w)."""

    decoupled = True


def arrays_of(entries: Iterable[Entry]) -> dict[str, npt.NDArray[np.float32]]:
    """The arrays of an optimizer's state, by name; zeros where nothing was kept yet."""
    return {
        entry.name: np.zeros(entry.parameter.shape, np.float32) if entry.kept is None else entry.kept.numpy()
        for entry in entries
    }


def checked(name: str, parameter: Tensor, state: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    """An array of an optimizer's state. Raises ValueError when it is missing or has not the shape of the parameter."""
    if name not in state or state[name].shape != parameter.shape:
        got = list(state[name].shape) if name in state else "nothing"
        raise ValueError(f"[optim] expected {name} of shape {list(parameter.shape)}, got {got}")
    return float_array(state[name])


def grad_norm(params: Iterable[Tensor]) -> float:
    """The Euclidean norm of all gradients together."""
    return float(np.sqrt(_core.sum_of_squares([p.grad for p in params if p.grad is not None])))


def clip_scale(norm: float, max_norm: float) -> float:
    """What brings gradients of this norm down to at most `max_norm`; give it to `step(gradient_scale)`."""
    return min(1.0, max_norm / (norm + 1e-6))


def clip_grad_norm_(params: Iterable[Tensor], max_norm: float) -> float:
    """Scales the gradients in place so that their norm is at most `max_norm`; returns the norm before."""
    params = list(params)
    norm = grad_norm(params)
    scale = clip_scale(norm, max_norm)
    if scale < 1.0:
        for parameter in params:
            if parameter.grad is not None:
                parameter.grad = parameter.grad * scale
    return norm
