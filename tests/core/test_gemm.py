"""The packed matrix product: every instruction set against float64, and its promises about rows and threads."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from attnkit import _core, _testing

Array = npt.NDArray[np.float32]

UNIT_ROUNDOFF = 2.0**-24

# Around the edges of the register tiles (8 x 48, 6 x 16, 6 x 8) and of the AMX tiles (32 x 32 x 32), one row and many,
# and depths beyond a block of 512 words.
SIZES = [
    (1, 1, 1),
    (1, 500, 64),
    (2, 203, 33),
    (3, 97, 5),
    (7, 47, 31),
    (8, 48, 32),
    (9, 49, 33),
    (17, 15, 2),
    (70, 70, 70),
    (33, 65, 1100),
    (200, 130, 300),
]


def numbers(rows: int, columns: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def rounded_to_bfloat16(x: Array) -> Array:
    """To the nearest number with eight significant bits, ties to even."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)


def assert_product(actual: Array, a: Array, b: Array) -> None:
    """Each number within 4 √K roundings of the sum of its terms' magnitudes."""
    exact = a.astype(np.float64) @ b.astype(np.float64)
    magnitude = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    assert actual.shape == exact.shape
    bound = 4 * UNIT_ROUNDOFF * np.sqrt(a.shape[1]) * magnitude
    assert (np.abs(actual - exact) <= bound).all()


def inputs_of(precision: str, a: Array, b: Array) -> tuple[Array, Array]:
    """What is multiplied in this precision."""
    return (a, b) if precision == "fp32" else (rounded_to_bfloat16(a), rounded_to_bfloat16(b))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_product(size: tuple[int, int, int], precision: str, isa: str, threads: int) -> None:
    m, n, k = size
    a, b = numbers(m, k, 0), numbers(k, n, 1)
    assert_product(_core.gemm(a, b, precision), *inputs_of(precision, a, b))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [(5, 7, 3), (17, 49, 35), (130, 97, 70), (33, 20, 1100)], ids=str)
def test_transposed_inputs_give_the_same_bits(size: tuple[int, int, int], precision: str, isa: str) -> None:
    m, n, k = size
    a, b = numbers(m, k, 0), numbers(k, n, 1)
    plain = _core.gemm(a, b, precision)
    a_transposed, b_transposed = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    np.testing.assert_array_equal(_core.gemm(a_transposed, b, precision, trans_a=True), plain)
    np.testing.assert_array_equal(_core.gemm(a, b_transposed, precision, trans_b=True), plain)
    np.testing.assert_array_equal(_core.gemm(a_transposed, b_transposed, precision, trans_a=True, trans_b=True), plain)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("columns", [40, 300])
def test_a_row_does_not_depend_on_the_rows_beside_it(columns: int, precision: str, isa: str) -> None:
    a, b = numbers(150, 90, 0), numbers(90, columns, 1)
    whole = _core.gemm(a, b, precision)
    for rows in (1, 2, 3, 5, 8, 13, 31, 149):
        np.testing.assert_array_equal(_core.gemm(a[:rows], b, precision), whole[:rows])
        np.testing.assert_array_equal(_core.gemm(a[-rows:], b, precision), whole[-rows:])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [(600, 128, 64), (20, 3000, 64), (64, 128, 2000)], ids=str)
def test_threads_change_nothing(size: tuple[int, int, int], precision: str) -> None:
    m, n, k = size
    a, b = numbers(m, k, 0), numbers(k, n, 1)
    before = _core.get_num_threads()
    results = []
    for count in (1, 2, 3):
        _core.set_num_threads(count)
        results.append(_core.gemm(a, b, precision))
    _core.set_num_threads(before)
    np.testing.assert_array_equal(results[1], results[0])
    np.testing.assert_array_equal(results[2], results[0])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_empty_sizes(precision: str, isa: str) -> None:
    np.testing.assert_array_equal(
        _core.gemm(np.zeros((3, 0), np.float32), np.zeros((0, 50), np.float32), precision),
        np.zeros((3, 50), np.float32),
    )
    assert _core.gemm(np.zeros((0, 4), np.float32), np.zeros((4, 5), np.float32), precision).shape == (0, 5)
    assert _core.gemm(np.zeros((3, 4), np.float32), np.zeros((4, 0), np.float32), precision).shape == (3, 0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_specials_stay_in_their_row(special: float, precision: str, isa: str) -> None:
    a, b = numbers(9, 33, 0), np.abs(numbers(33, 50, 1))
    clean = _core.gemm(a, b, precision)
    a[4, 32] = special
    out = _core.gemm(a, b, precision)
    np.testing.assert_array_equal(out[4], np.full(50, special, np.float32))
    np.testing.assert_array_equal(np.delete(out, 4, axis=0), np.delete(clean, 4, axis=0))


def test_bfloat16_rounds_ties_to_even(isa: str) -> None:
    ulp = 2.0**-7  # of bf16 at 1
    values = np.array(
        [1 + ulp / 2, 1 + 3 * ulp / 2, 1 + ulp * 0.51, 1 + ulp * 0.49, -1 - ulp / 2, -1 - 3 * ulp / 2], np.float32
    )
    nearest = np.array([1, 1 + 2 * ulp, 1 + ulp, 1, -1, -1 - 2 * ulp], np.float32)
    one = np.ones((1, 1), np.float32)
    np.testing.assert_array_equal(_core.gemm(values[:, None], one, "bf16")[:, 0], nearest)
    np.testing.assert_array_equal(_core.gemm(one, values[None, :], "bf16")[0], nearest)


def test_a_nan_of_low_bits_survives_rounding(isa: str) -> None:
    nan = np.array([[0x7F800001]], np.uint32).view(np.float32)  # its upper half alone would be infinity
    assert np.isnan(_core.gemm(nan, np.ones((1, 1), np.float32), "bf16")).all()


@pytest.mark.parametrize("size", [*SIZES, (32, 32, 32), (64, 100, 64), (40, 17, 600)], ids=str)
def test_amx_kernel_on_emulated_tiles(size: tuple[int, int, int]) -> None:
    m, n, k = size
    a, b = numbers(m, k, 0), numbers(k, n, 1)
    assert_product(_testing.gemm_amx_emulated(a, b), rounded_to_bfloat16(a), rounded_to_bfloat16(b))


def test_amx_rows_do_not_depend_on_each_other() -> None:
    a, b = numbers(70, 40, 0), numbers(40, 50, 1)
    whole = _testing.gemm_amx_emulated(a, b)
    for rows in (1, 15, 16, 17, 33):
        np.testing.assert_array_equal(_testing.gemm_amx_emulated(a[:rows], b), whole[:rows])


def test_bad_shapes() -> None:
    a, b = numbers(3, 4, 0), numbers(5, 6, 1)
    with pytest.raises(ValueError, match=r"\[gemm\] expected b of 4 rows, got 5"):
        _core.gemm(a, b)
    with pytest.raises(ValueError, match=r"\[gemm\] expected a matrix"):
        _core.gemm(a[0], b)
