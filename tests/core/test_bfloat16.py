"""bfloat16 as a type of storage: rounding, views, what ops take it, and the arrays of others."""

from __future__ import annotations

import copy
import pickle
import sys

import numpy as np
import pytest

import attnkit
from attnkit import _core, ops
from attnkit._core import Tensor
from attnkit.weights import load_weights, save_weights, widen

EXTREMES = np.array(
    [0.0, -0.0, 1.0, -1.0, 1 + 2**-8, 1 + 3 * 2**-8, 3.4e38, -3.4e38, 1e-40, np.inf, -np.inf, np.nan], np.float32
)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rounded(x: np.ndarray) -> np.ndarray:
    """To the nearest bfloat16, ties to even, by float64's exact arithmetic."""
    with np.errstate(over="ignore", invalid="ignore"):
        exponent = np.frexp(x.astype(np.float64))[1]
        # bfloat16 has 8 bits of mantissa, and the smallest float32's exponent for the numbers below it.
        unit = np.exp2(np.maximum(exponent, -125) - 8.0)
        near = np.where(np.isfinite(x), np.rint(x / unit) * unit, x)
        return np.where(np.abs(near) >= 2.0**128, np.copysign(np.inf, near), near).astype(np.float32)


def bits_of(x: Tensor) -> np.ndarray:
    array = x.numpy(writable=False)
    return array.view(np.uint16)


def bfloat16(array: np.ndarray) -> Tensor:
    return attnkit.tensor(array, dtype="bfloat16")


@pytest.mark.parametrize("x", [EXTREMES, numbers(7, 33), numbers(300_001), np.zeros((0, 4), np.float32)], ids=len)
def test_numbers_are_rounded_to_the_nearest_even(x: np.ndarray) -> None:
    stored = bfloat16(x)
    assert (stored.dtype, stored.shape, attnkit.tensor(x).dtype) == ("bfloat16", x.shape, "float32")
    np.testing.assert_array_equal(stored.to("float32").numpy(), rounded(x))
    np.testing.assert_array_equal(widen(bits_of(stored)), rounded(x))


def test_what_is_bfloat16_already_stays_to_the_bit() -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    again = _core.from_bits(bits).to("float32").to("bfloat16")
    kept = ~np.isnan(widen(bits))
    np.testing.assert_array_equal(bits_of(again)[kept], bits[kept])
    assert np.isnan(again.to("float32").numpy()[~kept]).all()


def test_to_is_the_tensor_itself_where_nothing_changes() -> None:
    x = attnkit.tensor(numbers(3))
    assert (
        x.to("float32").to("cpu" if x.device == "cpu" else x.device).numpy(writable=False).tolist()
        == x.numpy().tolist()
    )
    with pytest.raises(ValueError, match=r'\[device\] expected "cpu".*, got "float16"'):
        x.to("float16")


def test_views_copies_and_pickles_keep_the_type() -> None:
    x = bfloat16(numbers(4, 6))
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.reshape(4, 6), x.detach()):
        assert other.dtype == "bfloat16" and not other.requires_grad
        np.testing.assert_array_equal(bits_of(other), bits_of(x))
    np.testing.assert_array_equal(bits_of(x.reshape(2, -1)), bits_of(x).reshape(2, 12))


def test_arithmetic_is_refused_by_name() -> None:
    x, y = bfloat16(numbers(2, 3)), attnkit.tensor(numbers(2, 3))
    for act in (lambda: x + y, lambda: y * x, lambda: ops.softmax(x), lambda: ops.layer_norm(x), lambda: x.sum()):
        with pytest.raises(ValueError, match=r'expected float32, got bfloat16; to\("float32"\) converts it'):
            act()
    with pytest.raises(ValueError, match=r"\[requires_grad\] expected float32, got bfloat16"):
        x.requires_grad = True
    with pytest.raises(ValueError, match=r"\[to\] expected a tensor without a gradient"):
        attnkit.tensor(numbers(3), requires_grad=True).to("bfloat16")
    with pytest.raises(ValueError, match=r'expected dtype "float32" or "bfloat16", got .float16.'):
        attnkit.tensor(numbers(3), dtype="float16")  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 1), (16, 8), (33, 70), (130, 257), (515, 64)], ids=str)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_packed_weight_is_the_same_as_its_float32(shape: tuple[int, int], precision: str, isa: str) -> None:
    x, weight, bias = numbers(5, shape[1], seed=1), bfloat16(numbers(*shape)), numbers(shape[0], seed=2)
    with attnkit.precision(precision), attnkit.no_grad():
        expected = ops.linear(attnkit.tensor(x), weight.to("float32"), bias, "gelu").numpy()
        np.testing.assert_array_equal(ops.linear(attnkit.tensor(x), weight, bias, "gelu").numpy(), expected)


def test_the_gradient_of_what_a_bfloat16_weight_multiplies() -> None:
    weight = bfloat16(numbers(6, 4))
    gradients = []
    for w in (weight, weight.to("float32")):
        x = attnkit.tensor(numbers(3, 4, seed=1), requires_grad=True)
        ops.linear(x, w).sum().backward()
        assert x.grad is not None
        gradients.append(x.grad.numpy())
    np.testing.assert_array_equal(*gradients)


def test_tables_are_looked_up_and_gathered() -> None:
    table, positions = bfloat16(numbers(9, 5)), numbers(4, 5, seed=1)
    ids, places = np.array([3, 0, 8, 3], np.int32), np.array([0, 1, 2, 3], np.int32)
    wide = table.to("float32")
    np.testing.assert_array_equal(
        ops.embedding(ids, table, 2.0, positions, places).numpy(),
        ops.embedding(ids, wide, 2.0, positions, places).numpy(),
    )
    np.testing.assert_array_equal(ops.gather_rows(table, ids).numpy(), ops.gather_rows(wide, ids).numpy())
    with pytest.raises(ValueError, match=r"expected rows from 0 to 8, got 9"):
        ops.embedding(np.array([9], np.int32), table)


def test_safetensors_keep_the_type(tmp_path) -> None:  # type: ignore[no-untyped-def]
    x = numbers(3, 5)
    save_weights({"w": bfloat16(x), "b": x[0]}, tmp_path / "w.safetensors")
    loaded = load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(loaded["w"], rounded(x))
    np.testing.assert_array_equal(loaded["b"], x[0])
    assert (tmp_path / "w.safetensors").stat().st_size < x.nbytes + 200


def test_the_library_reads_what_is_written(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch_io = pytest.importorskip("safetensors.torch")
    torch = pytest.importorskip("torch")
    save_weights({"w": bfloat16(EXTREMES)}, tmp_path / "w.safetensors")
    read = torch_io.load_file(tmp_path / "w.safetensors")["w"]
    assert read.dtype == torch.bfloat16
    np.testing.assert_array_equal(read.float().numpy(), rounded(EXTREMES))


def test_numpy_has_the_bits_without_ml_dtypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    array = bfloat16(np.array([1.0, -2.0], np.float32)).numpy()
    assert array.dtype == np.uint16 and array.tolist() == [0x3F80, 0xC000]


def test_numpy_has_the_numbers_with_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = numbers(3, 4)
    array = bfloat16(x).numpy()
    assert array.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(array.astype(np.float32), rounded(x))
    np.testing.assert_array_equal(bfloat16(array).to("float32").numpy(), rounded(x))


@pytest.mark.cpu_only
def test_memory_is_shared_with_numpy_and_pytorch() -> None:
    torch = pytest.importorskip("torch")
    ours = bfloat16(np.arange(6, dtype=np.float32).reshape(2, 3))
    theirs = torch.from_dlpack(ours)
    assert theirs.dtype == torch.bfloat16
    theirs[1, 2] = 99.0
    assert ours.to("float32").numpy()[1, 2] == 99.0 and bits_of(ours)[1, 2] == 0x42C6
    back = attnkit.from_dlpack(theirs)
    assert back.dtype == "bfloat16"
    back.numpy().view(np.uint16)[0, 0] = 0x3F80
    assert theirs[0, 0] == 1.0 and ours.to("float32").numpy()[0, 0] == 1.0
    del ours, theirs
    assert back.to("float32").numpy()[1, 2] == 99.0


@pytest.mark.cpu_only
def test_a_capsule_may_be_a_copy_and_never_lets_others_write_what_they_must_not() -> None:
    torch = pytest.importorskip("torch")
    x = bfloat16(numbers(4))
    theirs = torch.utils.dlpack.from_dlpack(x.__dlpack__(copy=True))
    theirs.zero_()
    assert x.to("float32").numpy().any()
    bits = np.zeros(4, np.uint16)
    bits.flags.writeable = False
    with pytest.raises(ValueError, match="expected memory that may be written"):
        _core.from_bits(bits).__dlpack__()


@pytest.mark.cpu_only
def test_a_capsule_that_nobody_takes_is_freed() -> None:
    before = _core.memory_stats()["bytes_in_use"]
    x = bfloat16(numbers(1000))
    capsule = x.__dlpack__()
    del x, capsule
    assert _core.memory_stats()["bytes_in_use"] == before


def test_an_array_in_another_order_is_no_bfloat16_to_share() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises((TypeError, BufferError, RuntimeError)):
        attnkit.from_dlpack(torch.zeros(3, 4, dtype=torch.bfloat16).T)
