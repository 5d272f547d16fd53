"""Functions of one number, reductions over everything, and Adam: against float64, finite differences and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
from closeness import FLOAT32, assert_close, numeric_gradients
from pytorch_twin import torch_activation

import attnkit
from attnkit import _core, _testing, ops, optim

SIZES = [1, 3, 8, 15, 16, 17, 33, 100, 1027]


def gradient(t: attnkit.Tensor) -> np.ndarray:
    assert t.grad is not None
    return t.grad.numpy()


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def positive(*shape: int) -> np.ndarray:
    return np.abs(numbers(*shape)) + np.float32(0.1)


def off_alignment(array: np.ndarray) -> np.ndarray:
    """The same numbers, read-only, four bytes after a 64-byte border."""
    memory = np.empty(array.size + 32, np.float32)
    start = (-memory.ctypes.data // 4) % 16 + 1
    view = memory[start : start + array.size].reshape(array.shape)
    view[...] = array
    view.flags.writeable = False
    return view


# --- functions of one number

Function = Callable[[Any], Any]
FUNCTIONS: dict[str, tuple[Function, Function, Callable[..., np.ndarray]]] = {
    "relu": (ops.relu, reference.relu, numbers),
    "gelu": (ops.gelu, reference.gelu, numbers),
    "silu": (ops.silu, reference.silu, numbers),
    "gelu_tanh": (ops.gelu_tanh, reference.gelu_tanh, numbers),
    "quick_gelu": (ops.quick_gelu, reference.quick_gelu, numbers),
    "tanh": (ops.tanh, np.tanh, numbers),
    "sigmoid": (ops.sigmoid, reference.sigmoid, numbers),
    "exp": (lambda x: attnkit.tensor(x).exp() if isinstance(x, np.ndarray) else x.exp(), np.exp, numbers),
    "log": (lambda x: attnkit.tensor(x).log() if isinstance(x, np.ndarray) else x.log(), np.log, positive),
    "sqrt": (lambda x: attnkit.tensor(x).sqrt() if isinstance(x, np.ndarray) else x.sqrt(), np.sqrt, positive),
}


# What is rounded before it becomes an exponent counts as often as the exponent is large.
EXPONENTS: dict[str, Function] = {
    "gelu_tanh": lambda x: np.maximum(-1.596 * (x + 0.044715 * x**3), 0),
    "quick_gelu": lambda x: np.maximum(-1.702 * x, 0),
}


def rounding(name: str, x: np.ndarray, units: float) -> np.ndarray:
    """The relative error that each number may have: `units` of the last place, and two for each of its exponent."""
    exponent = EXPONENTS[name](x.astype(np.float64)) if name in EXPONENTS else np.zeros(x.shape)
    return (units + 2 * exponent) * FLOAT32


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size", SIZES)
def test_functions(name: str, size: int, isa: str) -> None:
    function, formula, domain = FUNCTIONS[name]
    x = off_alignment(domain(size) * np.float32(2))
    out = np.asarray(function(x))
    exact = formula(x.astype(np.float64))
    assert (np.abs(out - exact) <= rounding(name, x, 8) * np.abs(exact)).all()  # of each number, not of the largest


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_over_their_whole_range(name: str, isa: str) -> None:
    function, formula, domain = FUNCTIONS[name]
    x = np.linspace(-80, 80, 40_001, dtype=np.float32)
    if domain is positive:
        x = np.logspace(-30, 30, 40_001, dtype=np.float32)
    out = np.asarray(function(x))
    exact = formula(x.astype(np.float64))
    normal = np.abs(exact) >= 1e-35  # what lies below may come out of subnormal steps, or be rounded to zero
    # Without fused multiply-adds the square in gelu's e^(-x² / 2) is rounded before it is multiplied by up to 80.
    bound = rounding(name, x, 48 if name == "gelu" else 16)
    assert (np.abs(out - exact) <= bound * np.abs(exact))[normal].all()
    assert (np.abs(out[~normal]) <= 1.2e-35).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_of_functions(name: str, isa: str) -> None:
    function, formula, domain = FUNCTIONS[name]
    x, upstream = domain(3, 13), numbers(3, 13, seed=1)
    leaf = attnkit.tensor(x, requires_grad=True)
    function(leaf).backward(upstream)
    assert_close(gradient(leaf), numeric_gradients(formula, [x.astype(np.float64)], upstream)[0], terms=4)


LIMITS = {
    "relu": (0.0, np.inf),
    "gelu": (0.0, np.inf),
    "silu": (0.0, np.inf),
    "gelu_tanh": (0.0, np.inf),
    "quick_gelu": (0.0, np.inf),
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "exp": (0.0, np.inf),
    "log": (np.nan, np.inf),
    "sqrt": (np.nan, np.inf),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_infinities_give_limits_and_nan_stays(name: str, isa: str) -> None:
    x = np.zeros(21, np.float32)
    x[[2, 7, 20]] = -np.inf, np.inf, np.nan
    out = np.asarray(FUNCTIONS[name][0](x))
    np.testing.assert_array_equal(out[[2, 7, 20]], np.array([*LIMITS[name], np.nan], np.float32))


@pytest.mark.parametrize("name", sorted(EXPONENTS))
def test_gradients_over_the_whole_range(name: str, isa: str) -> None:
    function, formula, _ = FUNCTIONS[name]
    x = np.concatenate([np.linspace(-90, 90, 20_001), [-3e38, -1e20, 1e20, 3e38]]).astype(np.float32)
    leaf = attnkit.tensor(x, requires_grad=True)
    function(leaf).sum().backward()
    near, step = np.clip(x.astype(np.float64), -90, 90), 1e-5
    exact = (formula(near + step) - formula(near - step)) / (2 * step)
    assert_close(gradient(leaf), exact, terms=4)


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "tanh", "sigmoid", "gelu_tanh", "quick_gelu"])
def test_functions_against_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch")
    x, upstream = numbers(5, 77), numbers(5, 77, seed=1)
    ours, theirs = attnkit.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out = FUNCTIONS[name][0](ours)
    expected = torch_activation(name)(theirs)
    assert_close(out, expected.detach().numpy(), terms=4)
    out.backward(upstream)
    expected.backward(torch.tensor(upstream))
    assert_close(gradient(ours), theirs.grad.numpy(), terms=4)


@pytest.mark.parametrize("size", SIZES)
def test_arithmetic_is_that_of_ieee(size: int, isa: str) -> None:
    a, b = numbers(size), numbers(size, seed=1)
    x, y = attnkit.tensor(off_alignment(a)), attnkit.tensor(b)
    for ours, numpys in [(x + y, a + b), (x - y, a - b), (x * y, a * b), (x / y, a / b)]:
        np.testing.assert_array_equal(ours.numpy(), numpys)


# --- reductions


@pytest.mark.parametrize("size", [*SIZES, 70_001, 300_001])
def test_sums(size: int, isa: str, threads: int) -> None:
    x = numbers(size)
    exact = x.astype(np.float64)
    assert_close(attnkit.tensor(x).sum().item(), exact.sum(), scale=np.abs(exact).sum() * 1e-3 + 1)
    assert abs(_core.sum_of_squares([attnkit.tensor(x)]) - (exact**2).sum()) <= 1e-12 * (exact**2).sum()


def test_sums_do_not_depend_on_threads(isa: str) -> None:
    x = attnkit.tensor(numbers(300_001))
    results = []
    for threads in (1, 2):
        _core.set_num_threads(threads)
        results.append((x.sum().item(), _core.sum_of_squares([x])))
    assert results[0] == results[1]


@pytest.mark.parametrize("size", [*SIZES, 200_003])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_all_finite_finds_one_that_is_not(size: int, bad: float, isa: str) -> None:
    x = numbers(size) * np.float32(5e37)
    assert _testing.all_finite(x)
    for index in {0, size // 2, size - 1}:
        y = x.copy()
        y[index] = bad
        assert not _testing.all_finite(y)


# --- Adam

OPTIMIZERS = {"Adam": optim.Adam, "AdamW": optim.AdamW}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("size", [1, 17, 1000, 40_003])
def test_adam(name: str, size: int, isa: str, threads: int) -> None:
    start = numbers(size)
    gradients = [numbers(size, seed=i) for i in range(1, 5)]
    parameter = attnkit.tensor(start.copy(), requires_grad=True)
    optimizer = OPTIMIZERS[name]([parameter], lr=0.01, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1)
    for array in gradients:
        parameter.grad = attnkit.tensor(array)
        optimizer.step()
    exact_gradients = [g.astype(np.float64) for g in gradients]
    exact = reference.adam(start.astype(np.float64), exact_gradients, 0.01, (0.9, 0.98), 1e-6, 0.1, name == "AdamW")
    assert_close(parameter, exact, terms=4)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.2])
def test_adam_against_pytorch(name: str, weight_decay: float) -> None:
    torch = pytest.importorskip("torch")
    start = numbers(7, 9)
    ours, theirs = attnkit.tensor(start.copy(), requires_grad=True), torch.tensor(start.copy(), requires_grad=True)
    options: dict[str, Any] = {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-7, "weight_decay": weight_decay}
    optimizer, peer = OPTIMIZERS[name]([ours], **options), getattr(torch.optim, name)([theirs], **options)
    for seed in range(1, 7):
        array = numbers(7, 9, seed=seed)
        ours.grad, theirs.grad = attnkit.tensor(array), torch.tensor(array)
        optimizer.step()
        peer.step()
    assert_close(ours, theirs.detach().numpy(), terms=6)


def test_the_first_step_is_the_learning_rate() -> None:
    """m̂ / √v̂ is the sign of the gradient after one step: bias correction must be exact where 1 - β is small."""
    parameter = attnkit.tensor(np.zeros(4, np.float32), requires_grad=True)
    parameter.grad = attnkit.tensor(np.array([1.0, -1e-3, 50.0, -7.0], np.float32))
    optim.Adam([parameter], lr=0.5, betas=(0.999, 0.99999), eps=1e-20).step()
    assert_close(parameter, [-0.5, 0.5, -0.5, 0.5])


def test_the_gradient_scale_multiplies_the_gradient() -> None:
    results = []
    for scale, step_scale in [(0.25, 1.0), (1.0, 0.25), (1.0, 1.0)]:
        parameter = attnkit.tensor(numbers(50), requires_grad=True)
        optimizer = optim.Adam([parameter], lr=0.1, eps=0.1, weight_decay=0.3)
        parameter.grad = attnkit.tensor(numbers(50, seed=1) * np.float32(scale))
        optimizer.step(gradient_scale=step_scale)
        results.append(parameter.numpy().copy())
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


def test_every_option_of_adam_counts() -> None:
    def after(optimizer: type[optim.Adam] = optim.Adam, **options: Any) -> np.ndarray:
        parameter = attnkit.tensor(numbers(20), requires_grad=True)
        instance = optimizer([parameter], **{"lr": 0.1, "betas": (0.9, 0.99), "weight_decay": 0.1, **options})
        for seed in (1, 2):
            parameter.grad = attnkit.tensor(numbers(20, seed=seed))
            instance.step()
        return parameter.numpy().copy()

    base = after()
    for options in ({"lr": 0.2}, {"betas": (0.8, 0.99)}, {"betas": (0.9, 0.9)}, {"eps": 0.1}, {"weight_decay": 0.0}):
        assert (after(**options) != base).any(), options
    assert (after(optim.AdamW) != base).any()


def test_clipping_brings_the_norm_down() -> None:
    parameters = [attnkit.tensor(numbers(n), requires_grad=True) for n in (5, 40)]
    for seed, parameter in enumerate(parameters):
        parameter.grad = attnkit.tensor(numbers(parameter.size, seed=seed) * np.float32(10))
    before = float(np.sqrt(sum((gradient(p).astype(np.float64) ** 2).sum() for p in parameters)))
    assert optim.clip_grad_norm_(parameters, 1.5) == pytest.approx(before, rel=1e-6)
    assert optim.grad_norm(parameters) == pytest.approx(1.5, rel=1e-5)
    untouched = [gradient(p).copy() for p in parameters]
    optim.clip_grad_norm_(parameters, 100.0)
    for parameter, before_clipping in zip(parameters, untouched, strict=True):
        np.testing.assert_array_equal(gradient(parameter), before_clipping)
