"""What moves numbers without computing, at sizes that are cut into pieces for the threads and into tiles."""

from __future__ import annotations

import numpy as np
import pytest

import attnkit
from attnkit import ops

RNG = np.random.default_rng(3)
LARGE = RNG.standard_normal(3 * 70 * 41 * 19).astype(np.float32).reshape(3, 70, 41, 19)

pytestmark = pytest.mark.usefixtures("threads")


def gradient_of(move, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    leaf = attnkit.tensor(x, requires_grad=True)
    move(leaf).backward(dy)
    assert leaf.grad is not None
    return leaf.grad.numpy()


@pytest.mark.parametrize(
    "axes", [(0, 1, 2, 3), (0, 2, 1, 3), (3, 2, 1, 0), (1, 0, 3, 2), (0, 3, 1, 2), (0, 1, 3, 2), (2, 3, 0, 1)]
)
def test_permute(axes: tuple[int, ...]) -> None:
    expected = LARGE.transpose(axes)
    np.testing.assert_array_equal(attnkit.tensor(LARGE).permute(*axes).numpy(), expected)
    dy = RNG.standard_normal(expected.shape).astype(np.float32)
    np.testing.assert_array_equal(gradient_of(lambda x: x.permute(*axes), LARGE, dy), dy.transpose(np.argsort(axes)))


@pytest.mark.parametrize("shape", [(1, 1), (1, 700_001), (700_001, 1), (17, 33), (1025, 1023), (3, 0), (0, 3)])
def test_transpose_of_a_matrix(shape: tuple[int, int]) -> None:
    x = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(attnkit.tensor(x).transpose(0, 1).numpy(), x.T)


@pytest.mark.parametrize(
    "index", [np.s_[1:3], np.s_[:, 5:66], np.s_[:, :, 7:8], np.s_[:, :, :, 2:19], np.s_[:, 3:3], np.s_[1:2, 3:70]]
)
def test_slice(index: slice | tuple[slice, ...]) -> None:
    expected = LARGE[index]
    np.testing.assert_array_equal(attnkit.tensor(LARGE)[index].numpy(), expected)
    dy = RNG.standard_normal(expected.shape).astype(np.float32)
    dx = np.zeros_like(LARGE)
    dx[index] = dy
    np.testing.assert_array_equal(gradient_of(lambda x: x[index], LARGE, dy), dx)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_concatenate(axis: int) -> None:
    other = LARGE.take(range(2), axis)
    expected = np.concatenate([LARGE, other, LARGE], axis)
    parts = [attnkit.tensor(each, requires_grad=True) for each in (LARGE, other)]
    joined = ops.concatenate([parts[0], parts[1], parts[0]], axis)
    np.testing.assert_array_equal(joined.numpy(), expected)
    dy = RNG.standard_normal(expected.shape).astype(np.float32)
    joined.backward(dy)
    length = LARGE.shape[axis]
    first, middle, last = np.split(dy, [length, length + 2], axis)
    assert parts[0].grad is not None and parts[1].grad is not None
    np.testing.assert_array_equal(parts[0].grad.numpy(), first + last)
    np.testing.assert_array_equal(parts[1].grad.numpy(), middle)


@pytest.mark.parametrize("shape", [(70, 1, 1), (41, 1), (19,), (3, 1, 1, 1), (3, 70, 41, 1), (1,), (), (1, 70, 1, 19)])
def test_broadcasting(shape: tuple[int, ...]) -> None:
    small = RNG.standard_normal(shape).astype(np.float32)
    np.testing.assert_array_equal((attnkit.tensor(LARGE) * small).numpy(), LARGE * small)
    dsmall = gradient_of(lambda x: attnkit.tensor(LARGE) * x, small, np.ones_like(LARGE))
    axes = tuple(i for i in range(4) if i < 4 - len(shape) or shape[i - 4 + len(shape)] == 1)
    expected = LARGE.astype(np.float64).sum(axes, keepdims=True).reshape(shape)
    np.testing.assert_allclose(dsmall, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("count", "columns"), [(5, 100_000), (90_000, 3), (4000, 130), (0, 7), (6, 0), (1, 1)])
def test_gathered_rows(count: int, columns: int) -> None:
    x = RNG.standard_normal((50, columns)).astype(np.float32)
    rows = RNG.integers(0, 50, count)
    np.testing.assert_array_equal(ops.gather_rows(x, rows), x[rows])
    dy = RNG.integers(-9, 9, (count, columns)).astype(np.float32)  # whole numbers: their sums do not round
    dx = np.zeros_like(x)
    np.add.at(dx, rows, dy)
    np.testing.assert_array_equal(gradient_of(lambda leaf: ops.gather_rows(leaf, rows), x, dy), dx)


@pytest.mark.parametrize(("count", "columns"), [(5, 100_000), (30_000, 3), (300, 1000), (0, 7), (6, 0)])
def test_written_rows(count: int, columns: int) -> None:
    before = RNG.standard_normal((30_000, columns) if columns < 10 else (300, columns)).astype(np.float32)
    rows = RNG.permutation(len(before))[:count]
    x = RNG.standard_normal((count, columns)).astype(np.float32)
    expected = before.copy()
    expected[rows] = x
    buffer, leaf = attnkit.tensor(before.copy(), requires_grad=True), attnkit.tensor(x, requires_grad=True)
    written = ops.write_rows(buffer, rows, leaf)
    np.testing.assert_array_equal(written.numpy(), expected)
    dy = RNG.standard_normal(before.shape).astype(np.float32)
    written.backward(dy)
    assert buffer.grad is not None and leaf.grad is not None
    np.testing.assert_array_equal(leaf.grad.numpy(), dy[rows])
    dy[rows] = 0.0
    np.testing.assert_array_equal(buffer.grad.numpy(), dy)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_over_an_axis(axis: int, keepdims: bool) -> None:
    expected = LARGE.astype(np.float64).sum(axis, keepdims=keepdims)
    np.testing.assert_allclose(attnkit.tensor(LARGE).sum(axis, keepdims=keepdims).numpy(), expected, atol=2e-4)
    long = attnkit.tensor(LARGE.reshape(3, -1))  # rows of which each has work for all threads
    np.testing.assert_allclose(long.sum(1).numpy(), LARGE.astype(np.float64).sum((1, 2, 3)), atol=2e-3)
