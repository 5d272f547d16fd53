"""Products in bf16 on CUDA, emulated: by tensor cores and without, around their tiles, and in any order of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

import attnkit
from attnkit import ops

_testing = pytest.importorskip("attnkit._testing")
_testing.register_emulated_cuda()

EMULATED = "cuda-emulated"
UNIT_ROUNDOFF = 2.0**-24

Array = npt.NDArray[np.float32]

# [B, M, K] x [B, K, N]. Thin tiles are 16 x 32 and 128 deep, middle ones 64 x 64, large ones 128 x 128, both 32 deep.
THIN = [(1, 1, 1, 1), (1, 16, 32, 16), (3, 17, 33, 129), (1, 5, 8, 300), (2, 40, 31, 7)]
MIDDLE = [(1, 445, 450, 33), (12, 128, 120, 72)]
LARGE = [(9, 400, 500, 40), (129, 65, 63, 31)]


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    _testing.set_emulation_seed(0)
    _testing.set_emulated_tensor_cores(True)


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rounded(x: Array) -> npt.NDArray[np.float64]:
    """To the nearest number with eight significant bits, ties to even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


def product(a: Array, b: Array) -> Array:
    with attnkit.precision("bf16"):
        return (attnkit.tensor(a, device=EMULATED) @ attnkit.tensor(b, device=EMULATED)).numpy()


def assert_product(actual: Array, a: Array, b: Array) -> None:
    """Each number within 4 √K roundings of the sum of its terms' magnitudes."""
    exact, magnitude = rounded(a) @ rounded(b), np.abs(rounded(a)) @ np.abs(rounded(b))
    assert actual.shape == exact.shape
    assert (np.abs(actual - exact) <= 4 * UNIT_ROUNDOFF * np.sqrt(a.shape[-1]) * magnitude).all()


@pytest.mark.parametrize("size", [*THIN, *MIDDLE, *LARGE], ids=str)
def test_products_around_the_tiles(size: tuple[int, ...]) -> None:
    batch, m, n, k = size
    a, b = numbers(batch, m, k), numbers(batch, k, n, seed=1)
    assert_product(product(a, b), a, b)


@pytest.mark.parametrize("size", [(2, 19, 40, 136), (2, 300, 330, 40), (10, 384, 400, 24)], ids=str)
def test_operands_that_lie_across_give_the_same_bytes(size: tuple[int, ...]) -> None:
    """Backward multiplies them as they lie."""
    batch, m, n, k = size
    a, b, upstream = numbers(batch, m, k), numbers(batch, k, n, seed=1), numbers(batch, m, n, seed=2)
    x, y = (attnkit.tensor(array, True, device=EMULATED) for array in (a, b))
    with attnkit.precision("bf16"):
        (x @ y).backward(attnkit.tensor(upstream, device=EMULATED))
    across = [np.ascontiguousarray(array.transpose(0, 2, 1)) for array in (a, b)]
    assert x.grad is not None and y.grad is not None
    assert x.grad.numpy().tobytes() == product(upstream, across[1]).tobytes()
    assert y.grad.numpy().tobytes() == product(across[0], upstream).tobytes()
    assert_product(y.grad.numpy(), across[0], upstream)


def test_a_result_depends_on_neither_tile_nor_batch() -> None:
    a, b = numbers(10, 400, 70), numbers(10, 70, 390, seed=1)
    large = product(a, b)
    assert product(a[2:3], b[2:3]).tobytes() == large[2:3].tobytes()  # middle tiles
    for rows in (slice(0, 1), slice(3, 20), slice(399, 400)):  # thin ones
        assert product(a[2, rows], b[2]).tobytes() == large[2, rows].tobytes()


def test_bytes_do_not_depend_on_the_order_of_threads() -> None:
    arrays = [(numbers(2, 30, 150), numbers(2, 150, 40, seed=1)), (numbers(70, 65, 66), numbers(70, 66, 63, seed=1))]
    expected = [product(a, b) for a, b in arrays]
    for seed in (1, 2, 3):
        _testing.set_emulation_seed(seed)
        for (a, b), want in zip(arrays, expected, strict=True):
            assert product(a, b).tobytes() == want.tobytes(), f"seed {seed}"


@pytest.mark.parametrize("size", [THIN[2], MIDDLE[1], LARGE[1]], ids=str)
def test_a_device_without_tensor_cores_has_another_way(size: tuple[int, ...]) -> None:
    batch, m, n, k = size
    a, b = numbers(batch, m, k), numbers(batch, k, n, seed=1)
    with_them = product(a, b)
    _testing.set_emulated_tensor_cores(False)
    without = product(a, b)
    assert_product(without, a, b)
    assert (without != with_them).any()  # tensor cores cut off what does not fit a sum


def test_a_layer_of_packed_weights_and_its_gradients() -> None:
    """N = 72 is read eight at a time, N = 51 is not."""
    for n in (72, 51):
        x, weight, bias, upstream = numbers(37, 40), numbers(n, 40, seed=1), numbers(n, seed=2), numbers(37, n, seed=3)
        leaves = [attnkit.tensor(array, True, device=EMULATED) for array in (x, weight, bias)]
        with attnkit.precision("bf16"):
            out = ops.linear(*leaves)
            out.backward(attnkit.tensor(upstream, device=EMULATED))
        bound = 6 * UNIT_ROUNDOFF * np.sqrt(41) * (np.abs(rounded(x)) @ np.abs(rounded(weight)).T + np.abs(bias))
        assert (np.abs(out.numpy() - (rounded(x) @ rounded(weight).T + bias)) <= bound).all()
        gradients = [leaf.grad.numpy() for leaf in leaves[:2] if leaf.grad is not None]
        assert_product(gradients[0], upstream, weight)
        assert_product(gradients[1], np.ascontiguousarray(upstream.T), x)


def test_infinities_and_nan_stay_in_their_row() -> None:
    a, b = numbers(40, 33), np.abs(numbers(33, 50, seed=1))
    clean = product(a, b)
    for special in (np.nan, np.inf, -np.inf):
        a[4, 32] = special
        out = product(a, b)
        np.testing.assert_array_equal(out[4], np.full(50, special, np.float32))
        np.testing.assert_array_equal(np.delete(out, 4, axis=0), np.delete(clean, 4, axis=0))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_batch_is_one_launch(precision: str) -> None:
    a, b = (attnkit.tensor(numbers(7, 5, 5, seed=seed), device=EMULATED) for seed in range(2))
    with attnkit.precision(precision):
        launches = _testing.asked_of_emulated_cuda()[0]
        a @ b
        assert _testing.asked_of_emulated_cuda()[0] == launches + 1


def test_more_products_than_a_grid_holds() -> None:
    a, b = numbers(65600, 1, 2), numbers(65600, 2, 1, seed=1)
    with attnkit.precision("fp32"):
        got = (attnkit.tensor(a, device=EMULATED) @ attnkit.tensor(b, device=EMULATED)).numpy()
    np.testing.assert_allclose(got, a @ b, rtol=1e-5, atol=1e-6)
