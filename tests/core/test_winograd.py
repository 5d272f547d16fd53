"""Minimal filtering: within 1e-5 of the norm of the direct sum in float64, and the same in any company."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference_vision as reference

import attnkit
from attnkit import _core, ops

# (B, H, W, C), outputs, padding: whole tiles, cut ones, channels that are no whole vectors, images in one task. An
# image of all has 16 tiles of 4 x 4 outputs or more, from which on it is used.
SHAPES = [
    ((2, 16, 16, 32), 48, 1),
    ((1, 18, 19, 33), 40, 0),
    ((3, 14, 15, 64), 35, 2),
    ((2, 29, 6, 35), 32, 1),
    ((1, 16, 16, 80), 130, 1),
]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaves_of(case: Any) -> list[attnkit.Tensor]:
    shape, outputs, _ = case
    arrays = numbers(*shape), numbers(outputs, 3, 3, shape[3], seed=1), numbers(outputs, seed=2)
    return [attnkit.tensor(array, requires_grad=True) for array in arrays]


def results(case: Any, activation: str | None = None) -> list[np.ndarray]:
    leaves = leaves_of(case)
    out = ops.conv2d(*leaves, padding=case[2], activation=activation)
    out.backward(numbers(*out.shape, seed=3))
    return [out.numpy(), *(x.grad.numpy() for x in leaves)]


def assert_near(got: np.ndarray, exact: np.ndarray) -> None:
    assert got.shape == exact.shape
    assert np.linalg.norm(got - exact) <= 1e-5 * np.linalg.norm(exact)
    assert np.abs(got - exact).max() <= 1e-4 * np.sqrt(np.square(exact).mean())


@pytest.mark.parametrize("case", SHAPES, ids=str)
def test_it_is_the_direct_sum_and_so_are_its_gradients(case: Any, isa: str, threads: int) -> None:
    x, weight, bias = (leaf.numpy().astype(np.float64) for leaf in leaves_of(case))
    padding = (case[2], case[2])
    out, dx, dweight, dbias = results(case)
    assert_near(out, reference.conv2d(x, weight, bias, (1, 1), padding, 1))
    dy = numbers(*out.shape, seed=3).astype(np.float64)
    seen = reference.windows(x, (3, 3), (1, 1), padding)
    assert_near(dweight, np.einsum("bhwo,bhwklc->oklc", dy, seen, optimize=True))
    assert_near(dbias, dy.sum((0, 1, 2)))
    # The gradient of the input is the convolution of dy with the filters turned.
    turned = weight[:, ::-1, ::-1].transpose(3, 1, 2, 0)
    assert_near(dx, reference.conv2d(dy, turned, np.zeros(x.shape[3]), (1, 1), (2 - case[2], 2 - case[2]), 1))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_activation_and_its_gradient_are_those_of_the_sum(activation: str) -> None:
    case = SHAPES[2]
    out, *gradients = results(case, activation)
    leaves = leaves_of(case)
    plain = ops.conv2d(*leaves, padding=case[2])
    expected = ops.relu(plain) if activation == "relu" else ops.gelu(plain)
    expected.backward(numbers(*out.shape, seed=3))
    np.testing.assert_array_equal(out, expected.numpy())
    for got, leaf in zip(gradients, leaves, strict=True):
        assert_near(got, leaf.grad.numpy())


def test_the_same_bytes_for_any_number_of_threads() -> None:
    before = _core.get_num_threads()
    try:
        runs = []
        for threads in (1, 2, 3):
            _core.set_num_threads(threads)
            runs.append([array for case in SHAPES for array in results(case, "relu")])
        for one, *others in zip(*runs, strict=True):
            for other in others:
                np.testing.assert_array_equal(one, other)
    finally:
        _core.set_num_threads(before)


def test_an_image_has_the_same_result_in_every_batch(isa: str) -> None:
    x, weight = numbers(7, 15, 15, 32), numbers(40, 3, 3, 32, seed=1)
    whole = ops.conv2d(x, weight, padding=1)
    for index in (0, 3, 6):
        np.testing.assert_array_equal(ops.conv2d(x[index : index + 1], weight, padding=1)[0], whole[index])


def test_an_empty_batch_and_what_is_not_finite() -> None:
    weight = attnkit.tensor(numbers(32, 3, 3, 32), requires_grad=True)
    out = ops.conv2d(numbers(0, 16, 16, 32), weight, padding=1)
    out.sum().backward()
    assert out.shape == (0, 16, 16, 32)
    assert not weight.grad.numpy().any()
    x = numbers(1, 16, 16, 32)
    x[0, 8, 8, 3] = np.nan
    # It reaches the other outputs of its tile, too: the direct sum would end at 10.
    seen = np.isnan(ops.conv2d(x, weight.numpy(), padding=1)).all(-1)[0]
    expected = np.zeros((16, 16), bool)
    expected[7:12, 7:12] = True
    np.testing.assert_array_equal(seen, expected)
