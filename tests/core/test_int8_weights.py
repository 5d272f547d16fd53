"""int8 as a type of weights: bytes with a multiplier for each row, what products make of them, and who refuses them."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import reference
from closeness import assert_close

import attnkit
from attnkit import _core, _testing, nn, ops
from attnkit._core import Tensor

_testing.register_host2()

Array = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]

# Around the edges of panels (8 to 48 columns), of vectors (4 to 64 bytes) and of words (4); a depth of one.
SIZES = [(1, 1), (5, 37), (31, 33), (33, 1), (48, 64), (50, 131), (203, 257), (769, 96)]
ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 31, 33, 40]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def bytes_of(rows: int, columns: int, seed: int = 0) -> Bytes:
    """Random, with the largest sums of either sign."""
    data = np.random.default_rng(seed).integers(-127, 128, (rows, columns)).astype(np.int8)
    data[0], data[-1] = 127, -127
    return data


def multipliers(rows: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(20, 300, rows).astype(np.float32)


def int8(data: Bytes, rows: Array | None = None, inputs: float = 0.0) -> Tensor:
    """A weight on the device of the tests."""
    of_rows = multipliers(len(data)) if rows is None else rows
    return _core.from_int8(data, of_rows, inputs).to(_core.default_device())


def dequantized(data: Bytes, rows: Array) -> Array:
    return data.astype(np.float32) * (np.float32(1) / rows)[:, None]


def product(x: Array, data: Bytes, rows: Array, inputs: float, bias: Array | None) -> Array:
    """With a multiplier of the inputs, in the order of roundings of Marian's."""
    one, largest, a = np.float32(1), np.float32(127), np.float32(inputs)
    integers = np.clip(np.rint(x * a), -127, 127).astype(np.int64) + 127
    sums = (integers @ data.T.astype(np.int64)).astype(np.float32)
    shift = data.astype(np.int64).sum(1).astype(np.float32) * (-((largest / a) * (largest / rows)) / largest)
    added = shift if bias is None else shift + bias
    return np.asarray(sums * (one / (a * rows)) + added, np.float32)


def product_by_row(x: Array, data: Bytes, rows: Array) -> npt.NDArray[np.float64]:
    """Without one: each row of the inputs has its scale."""
    largest = np.abs(x).max(1, keepdims=True)
    integers = np.rint(x * (np.float32(127) / largest)).astype(np.int64)
    sums: npt.NDArray[np.float64] = (integers @ data.T.astype(np.int64)).astype(np.float64)
    scaled: npt.NDArray[np.float64] = sums * (largest.astype(np.float64) / 127) / rows
    return scaled


# ----- Products


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("biased", [True, False], ids=["bias", "plain"])
def test_a_multiplier_of_the_inputs_gives_the_same_bits_everywhere(
    size: tuple[int, int], biased: bool, isa: str, threads: int
) -> None:
    data, rows, inputs = bytes_of(*size), multipliers(size[0]), 41.843823
    weight, bias = int8(data, rows, inputs), numbers(size[0], seed=2) if biased else None
    with attnkit.precision("int8"), attnkit.no_grad():
        for m in ROWS:
            x = numbers(m, size[1], seed=m) * 2  # some are beyond ±127
            np.testing.assert_array_equal(ops.linear(x, weight, bias).numpy(), product(x, data, rows, inputs, bias))


def test_a_large_product_is_cut_among_threads_without_another_bit(isa: str, threads: int) -> None:
    data, rows = bytes_of(1536, 512), multipliers(1536)
    weight = int8(data, rows, 30.0)
    with attnkit.precision("int8"), attnkit.no_grad():
        for m in (1, 40, 150):
            x = numbers(m, 512, seed=m)
            np.testing.assert_array_equal(ops.linear(x, weight).numpy(), product(x, data, rows, 30.0, None))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_without_one_rows_have_their_own_scales(size: tuple[int, int], isa: str, threads: int) -> None:
    data, rows = bytes_of(*size), multipliers(size[0])
    weight, bias = int8(data, rows), numbers(size[0], seed=2)
    with attnkit.precision("int8"), attnkit.no_grad():
        for m in ROWS:
            x = numbers(m, size[1], seed=m)
            exact = product_by_row(x, data, rows)
            assert_close(ops.linear(x, weight), exact)
            assert_close(ops.linear(x, weight, bias), exact + bias)


@pytest.mark.parametrize("inputs", [0.0, 40.0])
def test_a_row_does_not_depend_on_the_rows_beside_it(inputs: float, isa: str, threads: int) -> None:
    x, weight = numbers(90, 130), int8(bytes_of(300, 130), inputs=inputs)
    with attnkit.precision("int8"), attnkit.no_grad():
        whole = ops.linear(x, weight).numpy()
        for m in ROWS:
            np.testing.assert_array_equal(ops.linear(x[:m], weight).numpy(), whole[:m])
            np.testing.assert_array_equal(ops.linear(x[-m:], weight).numpy(), whole[-m:])


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh", "quick_gelu", "silu", "tanh", "sigmoid"])
def test_activations_follow_the_product(activation: str, isa: str) -> None:
    data, rows, bias = bytes_of(70, 50), multipliers(70), numbers(70, seed=2)
    weight = int8(data, rows, 40.0)
    with attnkit.precision("int8"), attnkit.no_grad():
        for m in (1, 11):
            x = numbers(m, 50, seed=1)
            before = product(x, data, rows, 40.0, bias).astype(np.float64)
            got = ops.linear(x, weight, bias, activation)
            assert_close(got, ACTIVATIONS[activation](before), terms=4)


ACTIVATIONS: dict[str, Any] = {
    "relu": lambda x: np.maximum(x, 0),
    "gelu": reference.gelu,
    "gelu_tanh": reference.gelu_tanh,
    "quick_gelu": reference.quick_gelu,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("inputs", [0.0, 40.0])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_other_precisions_take_the_numbers(size: tuple[int, int], inputs: float, precision: Any, isa: str) -> None:
    data, rows, bias = bytes_of(*size), multipliers(size[0]), numbers(size[0], seed=2)
    weight, wide = int8(data, rows, inputs), attnkit.tensor(dequantized(data, rows))
    with attnkit.precision(precision), attnkit.no_grad():
        for m in (1, 5, 40):
            x = attnkit.tensor(numbers(m, size[1], seed=1))
            expected = ops.linear(x, wide, bias, "gelu").numpy()
            np.testing.assert_array_equal(ops.linear(x, weight, bias, "gelu").numpy(), expected)


@pytest.mark.parametrize("inputs", [0.0, 40.0])
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_specials_make_their_row_nan(special: float, inputs: float, isa: str) -> None:
    x, weight = numbers(9, 33), int8(bytes_of(50, 33), inputs=inputs)
    with attnkit.precision("int8"), attnkit.no_grad():
        clean = ops.linear(x, weight).numpy()
        x[4, 32] = special
        out = ops.linear(x, weight).numpy()
    assert np.isnan(out[4]).all()
    np.testing.assert_array_equal(np.delete(out, 4, axis=0), np.delete(clean, 4, axis=0))


def test_inputs_beyond_the_multiplier_are_the_largest_bytes(isa: str) -> None:
    data, rows = bytes_of(20, 9), multipliers(20)
    x = np.array([[3e38] * 9, [-3e38] * 9, [0.0] * 9, [1e-40] * 9, [0.5 / 40] * 9, [1.5 / 40] * 9], np.float32)
    with attnkit.precision("int8"), attnkit.no_grad(), np.errstate(over="ignore"):
        got = ops.linear(x, int8(data, rows, 40.0)).numpy()
        np.testing.assert_array_equal(got, product(x, data, rows, 40.0, None))


@pytest.mark.parametrize(("inputs", "deepest"), [(0.0, 131072), (40.0, 65536)])
def test_the_deepest_products(inputs: float, deepest: int, isa: str) -> None:
    data, rows = np.full((3, deepest + 1), 127, np.int8), multipliers(3)
    x = np.ones((2, deepest + 1), np.float32)
    with attnkit.precision("int8"), attnkit.no_grad():
        with pytest.raises(
            ValueError, match=rf"^\[gemm\] expected a depth of at most {deepest} in int8, got {deepest + 1}$"
        ):
            ops.linear(x, int8(data, rows, inputs))
        x, data = x[:, :-1].copy(), data[:, :-1].copy()
        data[1] = -127
        got = ops.linear(x, int8(data, rows, inputs))
        if inputs:
            np.testing.assert_array_equal(got.numpy(), product(x, data, rows, inputs, None))
        else:
            assert_close(got, product_by_row(x, data, rows))


def test_bytes_of_minus_128_are_refused() -> None:
    """Not every instruction set has a magnitude of it in a byte."""
    data = bytes_of(37, 100)
    data[1, 7] = -128
    with pytest.raises(ValueError, match=r"^\[int8\] expected bytes from -127 to 127, got -128$"):
        int8(data, multipliers(37))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("inputs", [0.0, 40.0])
def test_a_depth_of_zero_gives_the_bias(precision: str, inputs: float) -> None:
    program = f"""
import numpy as np, attnkit
from attnkit import _core, ops
weight = _core.from_int8(np.zeros((5, 0), np.int8), np.ones(5, np.float32), {inputs})
with attnkit.precision("{precision}"), attnkit.no_grad():
    out = ops.linear(np.zeros((2, 0), np.float32), weight, np.arange(5, dtype=np.float32)).numpy()
assert (out == np.arange(5)).all() and out.shape == (2, 5)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_no_rows_and_no_columns() -> None:
    for precision in ("fp32", "bf16", "int8"):
        with attnkit.precision(precision), attnkit.no_grad():
            weight = int8(bytes_of(5, 4), inputs=3.0)
            assert ops.linear(np.zeros((0, 4), np.float32), weight).shape == (0, 5)
            none = int8(np.zeros((0, 4), np.int8), inputs=3.0)
            assert ops.linear(numbers(2, 4), none).shape == (2, 0)
            assert none.to("float32").shape == none.to("bfloat16").shape == (0, 4)


# ----- Gradients


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("size", [(6, 4), (203, 97), (1, 9)], ids=str)
def test_gradients_pass_a_frozen_weight(size: tuple[int, int], precision: Any, isa: str) -> None:
    data, rows, dy = bytes_of(*size), multipliers(size[0]), numbers(7, size[0], seed=3)
    gradients = []
    with attnkit.precision(precision):
        for weight in (int8(data, rows, 40.0), attnkit.tensor(dequantized(data, rows))):
            x = attnkit.tensor(numbers(7, size[1], seed=1), requires_grad=True)
            bias = attnkit.tensor(numbers(size[0], seed=2), requires_grad=True)
            ops.linear(x, weight, bias, "gelu").backward(attnkit.tensor(dy))
            assert x.grad is not None and bias.grad is not None and weight.grad is None
            gradients.append((x.grad.numpy(), bias.grad.numpy()))
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_gradients_pass_a_weight_of_one_column() -> None:
    data, rows = bytes_of(6, 1), multipliers(6)
    x = attnkit.tensor(numbers(3, 1), requires_grad=True)
    ops.linear(x, int8(data, rows)).sum().backward()
    assert x.grad is not None
    assert_close(x.grad, np.full((3, 1), dequantized(data, rows).astype(np.float64).sum()), terms=6)


def test_int8_products_are_for_inference() -> None:
    x = attnkit.tensor(numbers(2, 4), requires_grad=True)
    with attnkit.precision("int8"), pytest.raises(ValueError, match=r"got int8, which is for inference"):
        ops.linear(x, int8(bytes_of(5, 4)))


def test_a_parameter_that_adopts_one_is_frozen_until_it_is_float32() -> None:
    layer = nn.Linear(4, 5)
    data, rows = bytes_of(5, 4), multipliers(5)
    layer.weight.adopt_(int8(data, rows))
    assert (layer.weight.dtype, layer.weight.requires_grad) == ("int8", False)
    layer(attnkit.tensor(numbers(2, 4))).sum().backward()
    assert layer.weight.grad is None and layer.bias is not None and layer.bias.grad is not None
    with pytest.raises(ValueError, match=r"^\[requires_grad\] expected float32, got int8$"):
        layer.weight.requires_grad = True
    assert layer.to("float32") is layer and layer.weight.requires_grad
    np.testing.assert_array_equal(layer.weight.numpy(), dequantized(data, rows))
    layer(attnkit.tensor(numbers(2, 4))).sum().backward()
    assert layer.weight.grad is not None
    with pytest.raises(ValueError, match=r"^\[adopt_\] expected shape \[5, 4\], got \[4, 5\]$"):
        layer.weight.adopt_(int8(bytes_of(4, 5)))


# ----- What it is made of, and what it becomes


GOOD: dict[str, Any] = {
    "bytes": np.zeros((6, 4), np.int8), "multipliers": np.ones(6, np.float32), "input_multiplier": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bytes": np.zeros(6, np.int8)}, "expected bytes of shape [N, K], got [6]"),
        ({"bytes": np.zeros((6, 4, 1), np.int8)}, "expected bytes of shape [N, K], got [6, 4, 1]"),
        ({"multipliers": np.ones(5, np.float32)}, "expected multipliers of shape [6], got [5]"),
        ({"multipliers": np.ones((6, 1), np.float32)}, "expected multipliers of shape [6], got [6, 1]"),
        ({"multipliers": np.ones(0, np.float32)}, "expected multipliers of shape [6], got [0]"),
        *(
            ({"multipliers": np.array([1, 1, 1, 1, 1, bad], np.float32)}, f"expected positive multipliers, got {bad}")
            for bad in (0, -2, np.nan, np.inf)
        ),
        *(({"input_multiplier": bad}, f"expected an input_multiplier of at least 0, got {bad}")
          for bad in (-1, np.nan, np.inf)),
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_weight(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape('[int8] ' + message)}$"):
        _core.from_int8(**{**GOOD, **wrong})


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.float32])
def test_bytes_are_int8(kind: Any) -> None:
    with pytest.raises(TypeError):
        _core.from_int8(**{**GOOD, "bytes": np.zeros((6, 4), kind)})


def test_parts_are_what_it_was_made_of() -> None:
    data, rows = bytes_of(6, 4), multipliers(6)
    for inputs in (0.0, 3.5):
        weight = int8(data, rows, inputs)
        assert (weight.dtype, weight.shape, weight.requires_grad) == ("int8", (6, 4), False)
        parts = _core.int8_parts(weight)
        np.testing.assert_array_equal(parts[0], data)
        np.testing.assert_array_equal(parts[1], rows)
        assert parts[0].dtype == np.int8 and not parts[0].flags.writeable and parts[2] == inputs
    with pytest.raises(ValueError, match=r"^\[int8\] expected a tensor of int8, got float32$"):
        _core.int8_parts(attnkit.tensor(numbers(2, 2)))


def test_bytes_in_another_order_are_read_as_they_are_indexed() -> None:
    data = bytes_of(12, 10)
    for view in (data.T, data[::2, ::3], np.asfortranarray(data)):
        rows = multipliers(len(view))
        np.testing.assert_array_equal(int8(view, rows).numpy(writable=False), dequantized(view, rows))


def test_the_parts_outlive_the_weight() -> None:
    data = bytes_of(300, 40)
    parts = _core.int8_parts(copy.deepcopy(int8(data)))
    other = [copy.deepcopy(int8(np.zeros((300, 40), np.int8))) for _ in range(3)]
    np.testing.assert_array_equal(parts[0], data)
    assert other[0].shape == (300, 40)


def test_it_becomes_float32_and_bfloat16() -> None:
    data, rows = bytes_of(33, 70), multipliers(33)
    weight, wide = int8(data, rows, 3.0), attnkit.tensor(dequantized(data, rows))
    np.testing.assert_array_equal(weight.to("float32").numpy(), wide.numpy())
    bits = weight.to("bfloat16")
    assert bits.dtype == "bfloat16"
    np.testing.assert_array_equal(bits.to("float32").numpy(), wide.to("bfloat16").to("float32").numpy())
    assert weight.dtype == "int8"
    with pytest.raises(ValueError, match=r'^\[device\] expected .*, got "int8"$'):  # nothing is made int8 by rounding
        wide.to("int8")


@pytest.mark.parametrize("target", ["float32", "bfloat16"])
def test_it_is_moved_in_place(target: str) -> None:
    data, rows = bytes_of(5, 4), multipliers(5)
    weight = int8(data, rows)
    expected = weight.to(target).to("float32").numpy()
    weight.move_(target)
    assert weight.dtype == target
    np.testing.assert_array_equal(weight.to("float32").numpy(), expected)


def test_numpy_has_its_numbers_for_reading() -> None:
    data, rows = bytes_of(5, 4), multipliers(5)
    weight = int8(data, rows)
    for array in (weight.numpy(), weight.numpy(writable=False), np.asarray(weight)):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, dequantized(data, rows))
    assert not weight.numpy().flags.writeable
    assert str(weight).endswith("shape=[5, 4])")
    one = int8(np.full((1, 1), 5, np.int8), np.full(1, 2, np.float32))
    assert one.item() == 2.5


@pytest.mark.parametrize("inputs", [0.0, 3.5])
def test_copies_and_pickles_are_the_same_weight(inputs: float) -> None:
    data, rows = bytes_of(33, 20), multipliers(33)
    weight, x = int8(data, rows, inputs), numbers(4, 20, seed=1)
    with attnkit.precision("int8"), attnkit.no_grad():
        expected = ops.linear(x, weight).numpy()
        for other in (
            copy.copy(weight), copy.deepcopy(weight), pickle.loads(pickle.dumps(weight)), weight.detach(),
        ):  # fmt: skip
            assert (other.dtype, other.device, other.requires_grad) == ("int8", weight.device, False)
            for part, own in zip(_core.int8_parts(other), (data, rows, np.float32(inputs)), strict=True):
                np.testing.assert_array_equal(part, own)
            np.testing.assert_array_equal(ops.linear(x, other).numpy(), expected)


@pytest.mark.cpu_only
def test_a_deep_copy_and_a_pickle_have_bytes_of_their_own() -> None:
    data = bytes_of(5, 4)
    weight = int8(data)
    deep, pickled = copy.deepcopy(weight), pickle.loads(pickle.dumps(weight))
    before = data.copy()
    data[:] = 0
    assert not _core.int8_parts(weight)[0].any()  # is over the array's memory
    for each in (deep, pickled):
        np.testing.assert_array_equal(_core.int8_parts(each)[0], before)


def test_nothing_else_computes_with_it() -> None:
    weight, x = int8(bytes_of(4, 4)), attnkit.tensor(numbers(4, 4))
    refused = r'expected float32, got int8; to\("float32"\) converts it$'
    acts: list[Any] = [
        lambda: weight + x, lambda: x * weight, lambda: ops.softmax(weight), lambda: ops.layer_norm(weight),
        lambda: weight.sum(), lambda: ops.matmul(x, weight), lambda: ops.matmul(weight, x), lambda: weight[1:],
        lambda: weight.transpose(0, 1), lambda: ops.linear(weight, x), lambda: ops.concatenate([weight, weight], 0),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(ValueError, match=refused):
            act()
    message = r'^\[copy_\] expected float32 or bfloat16, got int8; move_\("float32"\) converts it$'
    with pytest.raises(ValueError, match=message):
        weight.copy_(numbers(4, 4))


@pytest.mark.parametrize(
    "shape",
    [(6, 4), (3, 2, 4), (2, 12), (24,)],
    ids=str,
)
def test_another_shape_keeps_the_numbers_or_is_refused(shape: tuple[int, ...]) -> None:
    weight = int8(bytes_of(6, 4))
    expected = weight.numpy(writable=False)
    try:
        other = weight.reshape(*shape)
    except ValueError as refused:
        assert "int8" in str(refused)
        return
    np.testing.assert_array_equal(other.to("float32").numpy(), expected.reshape(shape))


# ----- Tables and output layers


def test_tables_are_looked_up() -> None:
    table, positions = int8(bytes_of(9, 5), inputs=3.0), numbers(4, 5, seed=1)
    wide = table.to("float32")
    ids, places = np.array([3, 0, 8, 3], np.int32), np.array([0, 1, 2, 3], np.int32)
    np.testing.assert_array_equal(ops.embedding(ids, table).numpy(), wide.numpy()[ids])
    np.testing.assert_array_equal(
        ops.embedding(ids, table, 2.0, positions, places).numpy(),
        ops.embedding(ids, wide, 2.0, positions, places).numpy(),
    )
    assert ops.embedding(np.zeros(0, np.int32), table).shape == (0, 5)
    for wrong in (-1, 9):
        with pytest.raises(ValueError, match=f"expected rows from 0 to 8, got {wrong}"):
            ops.embedding(np.array([wrong], np.int32), table)


def test_a_lookup_with_positions_that_learn() -> None:
    table, ids, places = int8(bytes_of(9, 5)), np.array([3, 0], np.int32), np.array([1, 1], np.int32)
    positions = attnkit.tensor(numbers(4, 5), requires_grad=True)
    ops.embedding(ids, table, 1.0, positions, places).sum().backward()
    assert positions.grad is not None and table.grad is None
    np.testing.assert_array_equal(positions.grad.numpy().sum(1), [0, 10, 0, 0])


@pytest.mark.parametrize("inputs", [0.0, 40.0])
def test_gathered_rows_are_a_weight(inputs: float, isa: str) -> None:
    data, rows = bytes_of(203, 37), multipliers(203)
    ids = np.array([202, 0, 7, 7, 150, 3], np.int32)
    weight, x = int8(data, rows, inputs), numbers(5, 37, seed=1)
    part = ops.gather_rows(weight, ids)
    assert (part.dtype, part.shape, part.device) == ("int8", (6, 37), weight.device)
    for got, own in zip(_core.int8_parts(part), (data[ids], rows[ids], np.float32(inputs)), strict=True):
        np.testing.assert_array_equal(got, own)
    for precision in ("fp32", "bf16", "int8"):
        with attnkit.precision(precision), attnkit.no_grad():
            np.testing.assert_array_equal(ops.linear(x, part).numpy(), ops.linear(x, weight).numpy()[:, ids])
    assert ops.gather_rows(weight, np.zeros(0, np.int32)).shape == (0, 37)
    for wrong in (-1, 203):
        with pytest.raises(ValueError, match=rf"\[gather_rows\] expected rows from 0 to 202, got {wrong}"):
            ops.gather_rows(weight, np.array([wrong], np.int32))


def best(hidden: Array, weight: Tensor, k: int) -> Any:
    none = np.zeros(len(hidden) + 1, np.int32), np.zeros(0, np.int32), np.zeros(0, np.uint8)
    return _core.best_tokens(attnkit.tensor(hidden), weight, None, k, *none)[:2]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("inputs", [0.0, 30.0])
def test_the_best_tokens_of_a_shortlist_are_those_of_the_whole(
    inputs: float, precision: Any, isa: str, threads: int
) -> None:
    weight = int8(bytes_of(2500, 48), multipliers(2500) + 200, inputs)
    ids = np.unique(np.random.default_rng(1).integers(0, 2500, 700)).astype(np.int32)
    none, one = np.zeros(0, np.int32), np.array([0, 0], np.int32)
    with attnkit.precision(precision), attnkit.no_grad():
        for m in (1, 6, 40):
            hidden = numbers(m, 48, seed=m)
            listed = _core.Restriction(
                offsets=one[:1], ids=none, always=ids, source_offsets=one, source_ids=none, prefix_offsets=one,
                prefix_ids=none, vocabulary=2500,
            )  # fmt: skip
            rows = np.zeros(m + 1, np.int32)
            asked = rows, none, np.zeros(0, np.uint8), rows[:-1]
            values, tokens, _ = listed.best(attnkit.tensor(hidden), weight, None, 5, *asked)
            of_part, places = best(hidden, ops.gather_rows(weight, ids), 5)
            np.testing.assert_array_equal(ids[places], tokens)
            assert_close(of_part, values, terms=9)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_best_tokens_are_those_of_the_logits(precision: Any, isa: str) -> None:
    weight, hidden = int8(bytes_of(700, 33), inputs=30.0), numbers(3, 33, seed=1)
    with attnkit.precision(precision), attnkit.no_grad():
        logits = ops.linear(hidden, weight).numpy().astype(np.float64)
        values, tokens = best(hidden, weight, 6)
    np.testing.assert_array_equal(tokens, np.argsort(-logits, axis=1, kind="stable")[:, :6])
    sums = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True)) + logits.max(1, keepdims=True)
    assert_close(values, np.take_along_axis(logits - sums, tokens.astype(np.int64), 1), scale=np.abs(logits).max())


def test_a_loss_over_a_frozen_output_layer() -> None:
    weight, labels = int8(bytes_of(31, 9), inputs=3.0), np.array([0, 30, 7, 7], np.int32)
    found = []
    for output in (weight, weight.to("float32")):
        hidden = attnkit.tensor(numbers(4, 9), requires_grad=True)
        loss = ops.linear_cross_entropy(hidden, output, labels)
        loss.backward()
        assert hidden.grad is not None
        found.append((loss.item(), hidden.grad.numpy()))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    with attnkit.precision("int8"), attnkit.no_grad():
        hidden_array = numbers(4, 9)
        loss = ops.linear_cross_entropy(hidden_array, weight, labels)
        logits = ops.linear(hidden_array, weight).numpy().astype(np.float64)
    exact = np.log(np.exp(logits).sum(1)) - logits[np.arange(4), labels]
    assert_close(loss, exact.mean(), terms=31, scale=float(np.abs(logits).max()))


# ----- Layers


def quantized(module: nn.Module, inputs: float) -> nn.Module:
    """Its matrices become int8."""
    for number, weight in enumerate({id(w): w for each in module.modules() for w in each.matrices()}.values()):
        array = weight.numpy(writable=False)
        rows = np.float32(127) / np.abs(array).max(1)
        weight.adopt_(int8(np.rint(array * rows[:, None]).astype(np.int8), rows, inputs * (1 + number / 10)))
    return module


@pytest.mark.parametrize("inputs", [0.0, 20.0])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("options", [{}, {"gated": True, "norm": "pre"}, {"ssru": True}], ids=str)
def test_a_decoder_step_in_one_call_equals_layer_by_layer(
    inputs: float, precision: Any, options: dict[str, Any], isa: str
) -> None:
    attnkit.manual_seed(1)
    decoder: Any = quantized(nn.TransformerDecoder(2, 32, 2, 48, **options).eval(), inputs)
    assert decoder.fuse() is not None and any(weight.dtype == "int8" for weight in decoder.parameters())
    offsets = np.array([0, 4, 5, 16], np.int32)
    memory = attnkit.tensor(numbers(16, 32, seed=5))
    runs: list[list[Array]] = []
    with attnkit.precision(precision), attnkit.no_grad():
        for whole in (decoder.fuse(), None):
            state = decoder.start(memory, offsets)
            runs.append([])
            for step, rows in enumerate(([0, 1, 2], [0, 0, 1, 2, 2], [1, 0, 2, 4], [3, 1], [0])):
                x = attnkit.tensor(numbers(state.rows, 32, seed=20 + step))
                runs[-1] += [np.array(each) for each in decoder.step(x, state, whole, return_weights=True)]
                state.select(np.array(rows, np.int32))
    for fused, composed in zip(*runs, strict=True):
        np.testing.assert_array_equal(fused, composed)
        assert np.isfinite(fused).all()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("inputs", [0.0, 30.0])
def test_recurrent_layers_take_it(kind: Any, inputs: float) -> None:
    attnkit.manual_seed(1)
    layer = kind(24, 32)
    x, offsets = attnkit.tensor(numbers(12, 24)), np.array([0, 5, 12], np.int32)
    quantized(layer, inputs)
    wide = copy.deepcopy(layer).to("float32")
    with attnkit.no_grad():
        exact = np.array(wide(x, offsets)[0])
        np.testing.assert_array_equal(np.array(layer(x, offsets)[0]), exact)
        with attnkit.precision("int8"):
            rounded = np.array(layer(x, offsets)[0])
    assert 0 < np.abs(rounded - exact).max() < 0.1


# ----- Devices


def test_on_another_device_it_is_the_same_weight() -> None:
    data, rows = bytes_of(33, 20), multipliers(33)
    here = _core.from_int8(data, rows, 30.0).to("cpu")
    there = here.to("host2")
    assert (there.dtype, there.device, there.to("cpu").dtype) == ("int8", "host2", "int8")
    for part, own in zip(_core.int8_parts(there), (data, rows, np.float32(30)), strict=True):
        np.testing.assert_array_equal(part, own)
    np.testing.assert_array_equal(there.numpy(writable=False), dequantized(data, rows))
    x, ids = attnkit.tensor(numbers(4, 20), device="cpu"), np.array([32, 1], np.int32)
    with attnkit.no_grad():
        for precision in ("fp32", "bf16", "int8"):
            with attnkit.precision(precision):
                expected = ops.linear(x, here).numpy()
                got = ops.linear(x.to("host2"), there)
                assert got.device == "host2"
                np.testing.assert_array_equal(got.numpy(), expected)
    gathered = ops.gather_rows(there, ids)
    assert (gathered.device, gathered.dtype) == ("host2", "int8")
    np.testing.assert_array_equal(gathered.numpy(writable=False), dequantized(data, rows)[ids])
    again = pickle.loads(pickle.dumps(there))
    assert (again.device, again.dtype) == ("host2", "int8")
    there.move_("cpu")
    assert (there.device, there.dtype) == ("cpu", "int8")
    with pytest.raises(ValueError, match="host2"):
        ops.linear(x, here.to("host2"))
