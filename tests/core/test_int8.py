"""int8: the products against integer arithmetic in NumPy on every instruction set, and models that use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
from closeness import FLOAT32, assert_close

import attnkit
from attnkit import _core, _testing, nn, ops
from attnkit.decoding import Packed
from attnkit.models import TransformerConfig, build_model

Array = npt.NDArray[np.float32]

# Around the edges of the register tiles (8 x 48, 4 x 16, 4 x 8) and of the AMX tiles (32 x 32 x 64), one row and many.
SIZES = [(1, 1, 1), (1, 500, 64), (2, 203, 33), (3, 97, 5), (7, 47, 31), (8, 48, 32), (9, 49, 130), (70, 70, 70)]
SIZES += [(33, 65, 1100), (100, 130, 300), (1, 3000, 40)]


def numbers(rows: int, columns: int, seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def quantized(x: Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Integers and a scale for each row: q = round(x · 127 / largest) in float32, ties to even."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    integers = np.rint(x * (np.float32(127) / largest)).astype(np.int64)
    return integers, (largest / np.float32(127)).astype(np.float64)


def product(a: Array, b: Array) -> npt.NDArray[np.float64]:
    """a · b in int8: rows of a and columns of b are scaled, sums are exact."""
    (x, x_scale), (y, y_scale) = quantized(a), quantized(np.ascontiguousarray(b.T))
    return (x @ y.T) * x_scale * y_scale.T


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_product(size: tuple[int, int, int], isa: str, threads: int) -> None:
    m, n, k = size
    a, b = numbers(m, k, 0), numbers(k, n, 1)
    assert_close(_core.gemm(a, b, "int8"), product(a, b))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_amx_kernel_on_emulated_tiles(size: tuple[int, int, int]) -> None:
    m, n, k = size
    a, b = numbers(m, k, 0), numbers(k, n, 1)
    assert_close(_testing.gemm_int8_amx_emulated(a, b), product(a, b))


@pytest.mark.parametrize("k", [4, 130, 1024])
def test_integers_are_multiplied_exactly(k: int, isa: str) -> None:
    generator = np.random.default_rng(0)
    a, b = (generator.integers(-127, 128, shape).astype(np.float32) for shape in ((9, k), (k, 60)))
    a[:, 0] = b[0] = 127.0  # scales of one
    a[1], a[2], b[:, 1], b[:, 2] = 127.0, -127.0, 127.0, -127.0  # the largest sums: nothing may saturate
    expected = a.astype(np.int64) @ b.astype(np.int64)
    np.testing.assert_array_equal(_core.gemm(a, b, "int8"), expected.astype(np.float32))
    np.testing.assert_array_equal(_testing.gemm_int8_amx_emulated(a, b), expected.astype(np.float32))


@pytest.mark.parametrize("columns", [40, 300])
def test_a_row_does_not_depend_on_the_rows_beside_it(columns: int, isa: str, threads: int) -> None:
    a, b = numbers(150, 90, 0), numbers(90, columns, 1)
    whole = _core.gemm(a, b, "int8")
    for rows in (1, 2, 3, 5, 8, 13, 31, 149):
        np.testing.assert_array_equal(_core.gemm(a[:rows], b, "int8"), whole[:rows])
        np.testing.assert_array_equal(_core.gemm(a[-rows:], b, "int8"), whole[-rows:])
    np.testing.assert_array_equal(_core.gemm(np.ascontiguousarray(a.T), b, "int8", trans_a=True), whole)
    np.testing.assert_array_equal(_core.gemm(a, np.ascontiguousarray(b.T), "int8", trans_b=True), whole)


def test_bias_and_activation(isa: str) -> None:
    x, weight, bias = numbers(11, 50, 0), numbers(70, 50, 1), numbers(1, 70, 2)[0]
    exact = product(x, np.ascontiguousarray(weight.T)) + bias
    with attnkit.precision("int8"):
        assert_close(ops.linear(x, weight, bias), exact)
        assert_close(ops.linear(x, weight, bias, "relu"), np.maximum(exact, 0))
        assert_close(ops.linear(x, weight, bias, "tanh"), np.tanh(exact), terms=4)
        assert_close(ops.linear(x, weight, bias, "gelu_tanh"), reference.gelu_tanh(exact), terms=4)
        assert_close(ops.linear(x, weight, bias, "quick_gelu"), reference.quick_gelu(exact), terms=4)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_specials_make_their_row_nan(special: float, isa: str) -> None:
    a, b = numbers(9, 33, 0), numbers(33, 50, 1)
    clean = _core.gemm(a, b, "int8")
    a[4, 32] = special
    out = _core.gemm(a, b, "int8")
    assert np.isnan(out[4]).all()
    np.testing.assert_array_equal(np.delete(out, 4, axis=0), np.delete(clean, 4, axis=0))


def test_zeros_and_empty_sizes(isa: str) -> None:
    a, b = numbers(3, 20, 0), numbers(20, 7, 1)
    a[1], b[:, 2] = 0.0, 1e-40  # below what has a scale
    out = _core.gemm(a, b, "int8")
    assert not out[1].any() and not out[:, 2].any() and out[0].any()
    assert _core.gemm(np.zeros((0, 4), np.float32), np.zeros((4, 5), np.float32), "int8").shape == (0, 5)
    np.testing.assert_array_equal(
        _core.gemm(np.zeros((3, 0), np.float32), np.zeros((0, 50), np.float32), "int8"), np.zeros((3, 50))
    )


def test_what_int8_is_not_for() -> None:
    weight = attnkit.tensor(numbers(4, 3, 0), requires_grad=True)
    x, message = numbers(2, 3, 1), "expected fp32 or bf16 where gradients are wanted, got int8, which is for inference"
    with attnkit.precision("int8"):
        for training in (
            lambda: ops.linear(x, weight),
            lambda: ops.linear_cross_entropy(x, weight, np.zeros(2, np.int32)),
        ):
            with pytest.raises(ValueError, match=message):
                training()
        with attnkit.no_grad():
            ops.linear(x, weight)
        a, b = numbers(5, 6, 2), numbers(6, 7, 3)
        assert_close(ops.matmul(a, b), a.astype(np.float64) @ b, terms=6)  # two activations stay float32
    with pytest.raises(ValueError, match=r"\[gemm\] expected a depth of at most 131072 in int8, got 131073"):
        _core.gemm(np.ones((1, 131073), np.float32), np.ones((131073, 1), np.float32), "int8")


def test_recurrent_layers_take_it() -> None:
    layer = nn.GRU(24, 32)
    x, offsets = attnkit.tensor(numbers(12, 24, 0)), np.array([0, 5, 12], np.int32)
    with attnkit.no_grad():
        exact = np.array(layer(x, offsets)[0])
        with attnkit.precision("int8"):
            rounded = np.array(layer(x, offsets)[0])
    assert 0 < np.abs(rounded - exact).max() < 0.05


SMALL = dict(d_model=48, ffn=80, heads=4, encoder_layers=2, decoder_layers=2, max_length=64)


def small_model() -> Any:
    attnkit.manual_seed(3)
    return build_model(TransformerConfig(**SMALL), 61, 61).eval()  # type: ignore[arg-type]


SOURCES = [np.array(ids, np.int32) for ids in ([5, 9, 3], [7, 8, 9, 10, 11, 3], [20, 3])]
TARGET = np.array([2, 4, 30, 17, 9], np.int32)


def log_probs(model: Any, sources: list[npt.NDArray[np.int32]]) -> npt.NDArray[np.float32]:
    """[steps, rows, V] along the same target."""
    state = model.start(Packed.of(sources))
    return np.stack([model.step(state, np.full(len(sources), token, np.int32)).log_probs for token in TARGET])


def test_a_model_stays_near_to_float32(isa: str) -> None:
    model = small_model()
    exact = log_probs(model, SOURCES)
    with attnkit.precision("int8"):
        rounded = log_probs(model, SOURCES)
    # A rounding is at most 1/254 of a row's largest number; a log-probability here is a few units.
    assert 0 < np.abs(rounded - exact).max() < 0.1
    assert np.abs(rounded - exact).mean() < 0.02


def test_a_sentence_does_not_depend_on_its_batch(isa: str, threads: int) -> None:
    model = small_model()
    with attnkit.precision("int8"):
        together = log_probs(model, SOURCES)
        for row, source in enumerate(SOURCES):
            np.testing.assert_array_equal(log_probs(model, [source])[:, 0], together[:, row])


def test_scales_are_within_a_rounding_of_the_largest_number() -> None:
    x = numbers(4, 64, 5)
    back = _core.gemm(x, np.eye(64, dtype=np.float32), "int8")
    bound = np.abs(x).max(axis=1, keepdims=True) / 254 * (1 + 100 * FLOAT32)
    assert (np.abs(back - x) <= bound).all()
