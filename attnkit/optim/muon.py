"""Muon (Jordan et al., 2024): hidden matrices take orthogonal steps, everything else AdamW's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from attnkit import _core, nn
from attnkit._core import Tensor
from attnkit.optim.adam import AdamW, restore

Floats = npt.NDArray[np.float32]

_ROUNDS = 5
_COEFFICIENTS = 3.4445, -4.7750, 2.0315  # of Jordan et al.: singular values end between 0.7 and 1.2, soon
_RMS = 0.2  # of the numbers of a step before the learning rate: about Adam's (Liu et al., 2025, eq. 4)
_LAST_LAYERS = ("generator", "head", "output")  # what models call the layers that give words or classes


def hidden_matrices(model: nn.Module) -> list[tuple[Tensor, int]]:
    """The weights of linear layers and convolutions of `model` but those that give words or classes, and of how many
    matrices on top of each other each consists."""
    last = {id(weight) for module in model.modules() for weight in _last_weights(module)}
    hidden = {}
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and id(module.weight) not in last:
            hidden[id(module.weight)] = module.weight, module.blocks if isinstance(module, nn.Linear) else module.groups
    return list(hidden.values())


def _last_weights(module: nn.Module) -> list[Tensor]:
    if isinstance(module, nn.MultiHeadAttention):  # its output goes to the next layer
        return []
    layers = (getattr(module, name, None) for name in _LAST_LAYERS)
    return [layer.weight for layer in layers if isinstance(layer, nn.Linear)]


def orthogonalise(matrix: Floats) -> Floats:
    """About U Vᵀ of matrix = U S Vᵀ, float32 [m, n], by five rounds of a polynomial of odd degree in it."""
    a, b, c = _COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else np.ascontiguousarray(matrix.T)
    x = wide / (np.sqrt(np.square(wide).sum()) + 1e-7)  # not BLAS's norm, which depends on its threads
    for _ in range(_ROUNDS):
        gram = _core.gemm(x, x, trans_b=True)
        x = a * x + _core.gemm(b * gram + c * _core.gemm(gram, gram), x)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


class Muon:
    """m ← μm + g; w ← w - lr · (0.2 √max(rows, columns) · orthogonalise(g + μm) + weight_decay · w) for the hidden
    matrices of a model (`hidden_matrices`), AdamW for its other parameters, with the same learning rate (Liu et al.,
    2025)."""

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"[optim] expected momentum in [0, 1), got {momentum}")
        self.lr, self.weight_decay, self.momentum = lr, weight_decay, momentum
        self._hidden = hidden_matrices(model)
        hidden = {id(weight) for weight, _ in self._hidden}
        self._others = AdamW((p for p in model.parameters() if id(p) not in hidden), lr, betas, eps, weight_decay)
        self._momenta = [np.zeros(weight.shape, np.float32) for weight, _ in self._hidden]

    @property
    def steps(self) -> int:
        return self._others.steps

    def step(self, gradient_scale: float = 1.0) -> None:
        """Updates every parameter that has a gradient, which is multiplied by `gradient_scale` first."""
        self._others.lr = self.lr
        self._others.step(gradient_scale)
        for (weight, blocks), momentum in zip(self._hidden, self._momenta, strict=True):
            if weight.grad is not None:
                gradient = weight.grad.numpy() * np.float32(gradient_scale)
                momentum *= self.momentum
                momentum += gradient
                self._move(weight, gradient + self.momentum * momentum, blocks)

    def _move(self, weight: Tensor, direction: Floats, blocks: int) -> None:
        parts = direction.reshape(blocks, weight.shape[0] // blocks, -1)
        scale = _RMS * max(parts.shape[1:]) ** 0.5
        step = np.stack([orthogonalise(part) for part in parts]).reshape(weight.shape)
        moved: Floats = (1 - self.lr * self.weight_decay) * weight.numpy() - self.lr * scale * step
        weight.copy_(moved)

    def zero_grad(self) -> None:
        for weight, _ in self._hidden:
            weight.zero_grad()
        self._others.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """AdamW's, of the other parameters, and `momentum.I` for hidden matrix I (not copied)."""
        return self._others.state_dict() | {f"momentum.{i}": momentum for i, momentum in enumerate(self._momenta)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copies the arrays in. Raises ValueError when one is missing or has another shape."""
        self._others.load_state_dict(state)
        for index, momentum in enumerate(self._momenta):
            restore(momentum, f"momentum.{index}", state)
