"""What `test_group.py` has all processes of a group do: `mpirun -n 4 python group_checks.py` prints what each found,
as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import attnkit
from attnkit import distributed, nn, optim
from attnkit.distributed import gradients, sums
from attnkit.distributed.group import ElsewhereError, together
from attnkit.distributed.optimizer import SharedOutOptimizer

GROUP = distributed.group()
SIZES = (1, 5, 1000, 70_001)


def numbers(rank: int, size: int) -> np.ndarray:
    return np.random.default_rng([rank, size]).standard_normal(size).astype(np.float32)


def summed(half: bool) -> dict[str, float]:
    """The largest error of a sum, as a share of the largest number in it."""
    errors = {}
    for size in SIZES:
        x = numbers(GROUP.rank, size)
        GROUP.later(lambda wire, x=x: sums.sum_of(GROUP.size, half)(wire, x)).result()
        exact = np.sum([numbers(rank, size).astype(np.float64) for rank in range(GROUP.size)], axis=0)
        assert len({each.tobytes() for each in GROUP.gather(x)}) == 1, "all processes have the same bytes"
        errors[str(size)] = float(np.abs(x - exact).max() / np.abs(exact).max())
    return errors


def tree() -> bool:
    """Whether the sum is that of neighbours, then of pairs of pairs, to the bit."""
    if GROUP.size & (GROUP.size - 1):
        return True
    x = numbers(GROUP.rank, 999)
    GROUP.later(lambda wire: sums.sum_in_tree(wire, x)).result()
    level = [numbers(rank, 999) for rank in range(GROUP.size)]
    while len(level) > 1:
        level = [a + b for a, b in zip(level[::2], level[1::2], strict=True)]
    return bool((x == level[0]).all())


def parameters() -> list[attnkit.Tensor]:
    sizes = ((gradients.BUCKET + 3,), (2, 3), (4,), (5,))
    return [attnkit.tensor(np.zeros(shape, np.float32), requires_grad=True) for shape in sizes]


def gradient_sum() -> list[Any]:
    """A gradient that all processes have, in a bucket of its own; one that only the last has; one of nobody; -0.0."""
    everybody, last, nobody, zero = parameters()
    total = gradients.GradientSum(GROUP, [everybody, last, nobody, zero])
    everybody.grad = attnkit.tensor(np.full(everybody.shape, GROUP.rank + 1.0, np.float32))
    if GROUP.rank == GROUP.size - 1:
        last.grad = attnkit.tensor(np.full((2, 3), 7.0, np.float32))
        zero.grad = attnkit.tensor(np.full((5,), -0.0, np.float32))
    extra = total.finish(np.array([1.0, GROUP.rank], np.float32))
    assert everybody.grad is not None and last.grad is not None and zero.grad is not None
    return [
        np.unique(everybody.grad.numpy()).tolist(),
        np.unique(last.grad.numpy()).tolist(),
        nobody.grad is None,
        bool(np.signbit(zero.grad.numpy()).all()),
        extra.tolist(),
    ]


def averaged() -> list[float]:
    layer = nn.Linear(3, 2)
    layer(attnkit.tensor(np.full((1, 3), GROUP.rank, np.float32))).sum().backward()
    distributed.average_gradients(layer.parameters())
    assert layer.weight.grad is not None and layer.bias.grad is not None
    return [float(layer.weight.grad.numpy().mean()), float(layer.bias.grad.numpy().mean())]


def failures() -> list[str]:
    """What processes raise where the second and the third fail."""

    def work() -> None:
        if GROUP.rank in (1, 2):
            raise ValueError(f"of {GROUP.rank}")

    try:
        together(GROUP, work)
    except (ValueError, ElsewhereError) as error:
        return GROUP.gather(f"{type(error).__name__}: {error}")
    return []


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)


def shared_out(make: Callable[[nn.Module], optim.Adam | optim.Muon]) -> dict[str, Any]:
    """An optimizer that keeps its state in shares beside one that does not, and what each process keeps."""
    models = []
    for shares in (False, True):
        attnkit.manual_seed(5)
        model = Pair()
        optimizer = make(model)
        used = SharedOutOptimizer(optimizer, list(model.parameters()), GROUP) if shares else optimizer
        for step in range(3):
            for number, parameter in enumerate(model.parameters()):
                random = np.random.default_rng([step, number])
                parameter.grad = attnkit.tensor(random.standard_normal(parameter.shape).astype(np.float32))
            used.step(0.5)
            used.zero_grad()
        models.append((model, optimizer, used))
    (one, whole, _), (other, part, shared) = models
    state, expected = shared.state_dict(), whole.state_dict()
    same = {name: bool(np.array_equal(state[name], expected[name])) for name in expected if name in state}
    return {
        "weights": all(
            a.numpy().tobytes() == b.numpy().tobytes()
            for a, b in zip(one.parameters(), other.parameters(), strict=True)
        ),
        "state": sorted(name for name, equal in same.items() if equal),
        "names": sorted(expected),
        "kept": GROUP.gather(sum(entry.kept is not None for entry in part.state())),
        "all": sum(entry.kept is not None for entry in whole.state()),
    }


def checks() -> Iterator[tuple[str, Any]]:
    yield "fp32", summed(half=False)
    yield "bf16", summed(half=True)
    yield "tree", tree()
    yield "gradients", gradient_sum()
    yield "averaged", averaged()
    yield "failures", failures()
    yield "collected", GROUP.collect(np.full(3, GROUP.rank).tolist())
    yield "adam", shared_out(lambda model: optim.AdamW(model.parameters(), 0.1, weight_decay=0.1))
    yield "muon", shared_out(lambda model: optim.Muon(model, 0.1))


if __name__ == "__main__":
    found = GROUP.gather(dict(checks()))
    if GROUP.rank == 0:
        print(json.dumps({"all": found}))
