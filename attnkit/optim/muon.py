"""Muon (Jordan et al., 2024): hidden matrices take orthogonal steps, everything else AdamW's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attnkit import _core, nn
from attnkit._core import Tensor
from attnkit.optim.adam import AdamW, Entry, arrays_of, checked

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
    if isinstance(module, nn.SelfAttention | nn.CrossAttention):  # its output goes to the next layer
        return []
    layers = (getattr(module, name, None) for name in _LAST_LAYERS)
    return [layer.weight for layer in layers if isinstance(layer, nn.Linear)]


class Muon:
    """m ← μm + g; w ← w - lr · (0.2 √max(rows, columns) · U Vᵀ + weight_decay · w), where U S Vᵀ = g + μm, for the
    hidden matrices of a model (`hidden_matrices`); AdamW for its other parameters, with the same learning rate (Liu et
    al., 2025). U Vᵀ is found by five rounds of a polynomial, about: its singular values are between 0.7 and 1.2. The
    products of these rounds have the precision that is in force (`attnkit.precision`), as Jordan et al.'s have bf16's.

    lr_factors: by which `lr` is multiplied for some parameters, by name.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        lr_factors: Mapping[str, float] | None = None,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ValueError(f"[optim] expected momentum in [0, 1), got {momentum}")
        self.lr, self.weight_decay, self.momentum = lr, weight_decay, momentum
        self._hidden = [(weight, count) for weight, count in hidden_matrices(model) if weight.requires_grad]
        hidden = {id(weight) for weight, _ in self._hidden}
        by_name = lr_factors or {}
        factors = {id(parameter): by_name.get(name, 1.0) for name, parameter in model.named_parameters()}
        self._factors = [factors[id(weight)] for weight, _ in self._hidden]
        others = [p for p in model.parameters() if p.requires_grad and id(p) not in hidden]
        self._others = AdamW(others, lr, betas, eps, weight_decay, [factors[id(p)] for p in others])
        self._momenta: list[Tensor | None] = [None] * len(self._hidden)

    @property
    def steps(self) -> int:
        return self._others.steps

    def step(self, gradient_scale: float = 1.0) -> None:
        """Updates every parameter that has a gradient, which is multiplied by `gradient_scale` first."""
        self._others.lr = self.lr
        self._others.step(gradient_scale)
        for factor in dict.fromkeys(self._factors):
            self._step_hidden(factor, gradient_scale)

    def _step_hidden(self, factor: float, gradient_scale: float) -> None:
        """The hidden matrices that move by this factor of the learning rate, all at once."""
        moving = [
            i for i, (weight, _) in enumerate(self._hidden) if weight.grad is not None and self._factors[i] == factor
        ]
        weights, matrices = [self._hidden[i][0] for i in moving], [self._hidden[i][1] for i in moving]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        momenta = [self._momentum_of(i) for i in moving]
        _core.muon_step(
            weights, gradients, momenta, matrices, self.lr * factor, self.momentum, self.weight_decay, gradient_scale
        )

    def _momentum_of(self, index: int) -> Tensor:
        """Zeros before the first gradient, as AdamW's moments."""
        found = self._momenta[index]
        if found is None:
            weight = self._hidden[index][0]
            found = self._momenta[index] = _core.zeros(weight.shape, weight.device)
        return found

    def zero_grad(self) -> None:
        for weight, _ in self._hidden:
            weight.zero_grad()
        self._others.zero_grad()

    def state_dict(self) -> dict[str, Any]:
        """AdamW's, of the other parameters, and `momentum.I` for hidden matrix I (not copied)."""
        return {"steps": self.steps, **arrays_of(self.state())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copies the arrays in. Raises ValueError when one is missing or has another shape."""
        self._others.load_state_dict(state)
        for index, (weight, _) in enumerate(self._hidden):
            array = checked(f"momentum.{index}", weight, state)
            if self._momenta[index] is not None or array.any():
                self._momentum_of(index).copy_(array)

    def state(self) -> Iterator[Entry]:
        """What is kept of each parameter."""
        yield from self._others.state()
        for index, ((weight, _), momentum) in enumerate(zip(self._hidden, self._momenta, strict=True)):
            yield Entry(f"momentum.{index}", weight, momentum)
