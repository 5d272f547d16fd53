"""What optimizers remember: Tensors of the core's, float32 arrays to checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import attnkit
from attnkit import _core, nn, optim

Optimizer = optim.Adam | optim.Muon
MAKERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "Adam": lambda layer: optim.Adam(layer.parameters(), lr=0.1, weight_decay=0.1),
    "AdamW": lambda layer: optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.1),
    "Muon": lambda layer: optim.Muon(layer, lr=0.1, weight_decay=0.1),
}
NAMES = {
    "Adam": {"steps", "moment1.0", "moment2.0", "moment1.1", "moment2.1"},
    "AdamW": {"steps", "moment1.0", "moment2.0", "moment1.1", "moment2.1"},
    "Muon": {"steps", "moment1.0", "moment2.0", "momentum.0"},  # AdamW has the bias
}


def layer_of(seed: int = 1) -> nn.Linear:
    attnkit.manual_seed(seed)
    return nn.Linear(5, 7)


def move(layer: nn.Module, optimizer: Optimizer, seeds: range) -> None:
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for parameter in layer.parameters():
            parameter.grad = attnkit.tensor(rng.standard_normal(parameter.shape, dtype=np.float32))
        optimizer.step()


def moments_of(optimizer: Optimizer) -> list[attnkit.Tensor]:
    return [entry.kept for entry in optimizer.state() if entry.kept is not None]


@pytest.fixture(params=MAKERS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_moments_are_tensors_of_the_core(kind: str) -> None:
    layer = layer_of()
    optimizer = MAKERS[kind](layer)
    assert not moments_of(optimizer), "no gradient yet, no memory"
    move(layer, optimizer, range(1))
    moments = moments_of(optimizer)
    assert {tuple(moment.shape) for moment in moments} == {(7, 5), (7,)}
    for moment in moments:
        assert not moment.is_borrowed and not moment.requires_grad and moment.numpy().all()


def test_what_gets_no_gradient_takes_no_memory(kind: str) -> None:
    layer = layer_of()
    optimizer = MAKERS[kind](layer)
    layer.weight.grad = attnkit.tensor(np.ones((7, 5), np.float32))
    optimizer.step()
    assert {entry.parameter.shape for entry in optimizer.state() if entry.kept is not None} == {(7, 5)}
    state = optimizer.state_dict()
    assert not state["moment1.0" if kind == "Muon" else "moment1.1"].any()  # the bias
    other = MAKERS[kind](layer_of())
    other.load_state_dict(state)
    assert {entry.parameter.shape for entry in other.state() if entry.kept is not None} == {(7, 5)}


@pytest.mark.cpu_only
def test_the_state_is_arrays_over_the_moments(kind: str) -> None:
    layer = layer_of()
    optimizer = MAKERS[kind](layer)
    state = optimizer.state_dict()
    assert set(state) == NAMES[kind] and state.pop("steps") == 0
    assert all(type(array) is np.ndarray and array.dtype == np.float32 for array in state.values())
    assert not any(array.any() for array in state.values())
    move(layer, optimizer, range(1))
    state = optimizer.state_dict()
    before = {name: np.copy(array) for name, array in state.items() if name != "steps"}
    move(layer, optimizer, range(1, 2))
    assert all((state[name] != array).all() for name, array in before.items())


def test_a_restored_optimizer_goes_on_to_the_same_bytes(kind: str) -> None:
    layer, other = layer_of(), layer_of(2)
    first = MAKERS[kind](layer)
    move(layer, first, range(2))
    state = {name: np.copy(value) for name, value in first.state_dict().items()}
    other.load_state_dict(layer.state_dict())
    second = MAKERS[kind](other)
    second.load_state_dict(state)
    for array in state.values():
        array[...] = 9  # what was given was copied
    for some, optimizer in (layer, first), (other, second):
        move(some, optimizer, range(2, 5))
    assert first.steps == second.steps == 5
    for one, two in zip(layer.parameters(), other.parameters(), strict=True):
        assert one.numpy().tobytes() == two.numpy().tobytes()
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name])


def test_states_that_do_not_fit_are_refused(kind: str) -> None:
    optimizer = MAKERS[kind](layer_of())
    state = optimizer.state_dict()
    name = "momentum.0" if kind == "Muon" else "moment2.0"
    for wrong, got in (np.zeros((5, 7), np.float32), "[5, 7]"), (None, "nothing"):
        given = {key: value for key, value in state.items() if key != name}
        if wrong is not None:
            given[name] = wrong
        with pytest.raises(ValueError, match=re.escape(f"[optim] expected {name} of shape [7, 5], got {got}")):
            optimizer.load_state_dict(given)


def test_numbers_of_other_types_are_converted() -> None:
    optimizer = optim.Adam(layer_of().parameters())
    wide = {name: np.asarray(value) + 0.5 for name, value in optimizer.state_dict().items()}
    optimizer.load_state_dict(wide)
    assert all((moment.numpy() == 0.5).all() for moment in moments_of(optimizer))


def test_zeros_of_the_core() -> None:
    made = _core.zeros([2, 0, 3])
    assert made.shape == (2, 0, 3) and not made.is_borrowed
    assert _core.zeros([]).item() == 0 and not _core.zeros([3, 4]).numpy().any()
    with pytest.raises(ValueError, match=re.escape("[tensor] expected sizes >= 0 whose product fits, got [2, -1]")):
        _core.zeros([2, -1])


# ----- A learning rate for each parameter

FACTORS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "Adam": lambda layer: optim.Adam(layer.parameters(), lr=0.1, weight_decay=0.1, lr_factors=[1.0, 0.25]),
    "AdamW": lambda layer: optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.1, lr_factors=[1.0, 0.25]),
    "Muon": lambda layer: optim.Muon(layer, lr=0.1, weight_decay=0.1, lr_factors={"bias": 0.25}),
}


def test_a_factor_multiplies_the_learning_rate_of_its_parameter(kind: str) -> None:
    layer, even, slow = layer_of(), layer_of(), layer_of()
    move(layer, FACTORS[kind](layer), range(3))
    move(even, MAKERS[kind](even), range(3))
    optimizer = MAKERS[kind](slow)
    optimizer.lr = 0.025
    move(slow, optimizer, range(3))
    np.testing.assert_array_equal(layer.weight.numpy(), even.weight.numpy())
    assert layer.bias is not None and slow.bias is not None
    np.testing.assert_allclose(layer.bias.numpy(), slow.bias.numpy(), rtol=1e-6)


def test_muon_moves_matrices_by_their_factors() -> None:
    def stack() -> nn.ModuleList[nn.Linear]:
        attnkit.manual_seed(1)
        return nn.ModuleList([nn.Linear(5, 7), nn.Linear(7, 3), nn.Linear(3, 4)])

    before, even, uneven = stack(), stack(), stack()
    move(even, optim.Muon(even, lr=0.1), range(1))
    move(uneven, optim.Muon(uneven, lr=0.1, lr_factors={"1.weight": 0.5}), range(1))
    for number, factor in enumerate((1.0, 0.5, 1.0)):
        start = before[number].weight.numpy()
        steps = [each[number].weight.numpy() - start for each in (uneven, even)]
        np.testing.assert_allclose(steps[0], factor * steps[1], rtol=1e-4, atol=1e-7)


def test_what_requires_no_gradient_has_no_state() -> None:
    layer = layer_of()
    layer.weight.requires_grad = False
    assert {entry.parameter.shape for entry in optim.Muon(layer).state()} == {(7,)}


@pytest.mark.parametrize("factors", [[1.0], [1.0, -1.0], [1.0, float("nan")]])
def test_wrong_factors_are_refused(factors: list[float]) -> None:
    with pytest.raises(ValueError, match=re.escape("[optim] expected 2 lr_factors >= 0, got [1.0")):
        optim.Adam(layer_of().parameters(), lr_factors=factors)
