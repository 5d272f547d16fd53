"""DLPack over a device's memory: the emulated GPU, which goes by the number of a device of somebody's own (kDLExtDev).

Nobody but these tests knows that its memory is the host's, so that they can be the consumer, who reads what a capsule
holds as it lies in memory.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attnkit

_testing = pytest.importorskip("attnkit._testing")
_testing.register_emulated_cuda()

EMULATED = "cuda-emulated"
DEVICE = (12, 0)  # kDLExtDev


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint32 * 2),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _DLTensor),
    )


_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def inside(capsule: object) -> Any:
    """What a capsule holds, which still owns it."""
    versioned = '"dltensor_versioned"' in repr(capsule)
    kind: Any = _Versioned if versioned else _Managed
    return kind.from_address(_pointer(capsule, b"dltensor_versioned" if versioned else b"dltensor"))


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def there(*shape: int) -> attnkit.Tensor:
    return attnkit.tensor(numbers(*shape), device=EMULATED)


def address(x: attnkit.Tensor) -> int:
    found: int = inside(x.__dlpack__()).tensor.data
    return found


class Producer:
    """An array of another library: a tensor of ours behind what `change` makes of its capsule."""

    def __init__(self, x: attnkit.Tensor, change: Callable[[Any], None] = lambda managed: None, **options: Any) -> None:
        self.x, self.change, self.options = x, change, options
        self.asked: list[dict[str, Any]] = []
        self.device = DEVICE

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **asked: Any) -> object:
        self.asked.append(asked)
        capsule = self.x.__dlpack__(**self.options)
        self.change(inside(capsule))
        return capsule


def test_a_capsule_shows_the_memory_of_the_device() -> None:
    x = there(3, 4)
    assert x.__dlpack_device__() == DEVICE
    capsule = x.__dlpack__()
    shown = inside(capsule).tensor
    assert (tuple(shown.device), shown.ndim, tuple(shown.shape[:2])) == (DEVICE, 2, (3, 4))
    assert (shown.code, shown.bits, shown.lanes, shown.byte_offset) == (2, 32, 1, 0)
    host = np.ctypeslib.as_array((ctypes.c_float * 12).from_address(shown.data))
    np.testing.assert_array_equal(host, numbers(3, 4).ravel())
    host[5] = 7.0
    assert x.numpy()[1, 1] == 7.0


def test_a_capsule_of_bfloat16_and_of_a_newer_version() -> None:
    x = there(5).to("bfloat16")
    managed = inside(x.__dlpack__(max_version=(1, 1)))
    assert tuple(managed.version) == (1, 0) and managed.flags == 0
    assert (managed.tensor.code, managed.tensor.bits) == (4, 16)
    assert '"dltensor"' in repr(x.__dlpack__(max_version=(0, 8)))


def test_a_copy_is_one_and_says_so() -> None:
    x = there(5)
    managed = inside(capsule := x.__dlpack__(copy=True, max_version=(1, 0)))
    assert managed.flags == 2 and managed.tensor.data != address(x)
    np.testing.assert_array_equal(
        np.ctypeslib.as_array((ctypes.c_float * 5).from_address(managed.tensor.data)), numbers(5)
    )
    del capsule


@pytest.mark.parametrize("stream", [None, -1, 1, 2, 140_000_000_000])
def test_streams_of_the_array_api(stream: int | None) -> None:
    assert inside(there(2).__dlpack__(stream=stream)).tensor.ndim == 1


@pytest.mark.parametrize("stream", [0, -2])
def test_a_stream_that_the_array_api_does_not_know(stream: int) -> None:
    with pytest.raises(ValueError, match=rf"\[dlpack\] expected a stream of -1, 1, 2 or a handle, got {stream}"):
        there(2).__dlpack__(stream=stream)


def test_a_stream_that_is_no_number() -> None:
    with pytest.raises(TypeError, match=r"\[dlpack\] expected a stream's number, got 'main'"):
        there(2).__dlpack__(stream="main")  # type: ignore[arg-type]


@pytest.mark.parametrize("device", [(1, 0), (2, 0), (12, 1)])
@pytest.mark.parametrize("copy", [None, True, False])
def test_a_consumer_elsewhere_is_refused(device: tuple[int, int], copy: bool | None) -> None:
    words = rf"\[dlpack\] expected a consumer on cuda-emulated, got one on device \({device[0]}, {device[1]}\)"
    with pytest.raises(BufferError, match=words):
        there(2).__dlpack__(dl_device=device, copy=copy)
    assert inside(there(2).__dlpack__(dl_device=DEVICE, copy=copy)).tensor.ndim == 1


def test_numpy_takes_no_memory_of_a_device() -> None:
    with pytest.raises((BufferError, RuntimeError), match="device"):
        np.from_dlpack(there(2))


def test_a_tensor_over_anothers_memory() -> None:
    x = there(3, 4)
    source = Producer(x)
    y = attnkit.from_dlpack(source)
    assert (y.device, y.dtype, y.shape, y.is_borrowed) == (EMULATED, "float32", (3, 4), True)
    assert address(y) == address(x)
    np.testing.assert_allclose((y * 2.0).numpy(), numbers(3, 4) * 2)
    del x, source
    np.testing.assert_array_equal(y.numpy(), numbers(3, 4))
    assert attnkit.from_dlpack(Producer(there(6).to("bfloat16"))).dtype == "bfloat16"
    assert address(attnkit.from_dlpack(z := there(2))) == address(z)


def test_a_producer_is_asked_for_the_newest_version_and_the_first() -> None:
    source = Producer(there(3), max_version=(1, 0))
    y = attnkit.from_dlpack(source)
    assert source.asked == [{"max_version": (1, 0)}]  # no stream: only CUDA's have numbers
    np.testing.assert_array_equal(y.numpy(), numbers(3))

    class Old(Producer):
        def __dlpack__(self) -> object:  # type: ignore[override]
            return self.x.__dlpack__()

    np.testing.assert_array_equal(attnkit.from_dlpack(Old(there(3))).numpy(), numbers(3))


def test_what_nobody_may_write_stays_so() -> None:
    def forbid(managed: Any) -> None:
        managed.flags = 1

    y = attnkit.from_dlpack(Producer(there(3), forbid, max_version=(1, 0)))
    with pytest.raises(ValueError, match="expected memory that may be written"):
        y.copy_(numbers(3))
    with pytest.raises(ValueError, match="expected memory that may be written"):
        y.__dlpack__()
    assert inside(y.__dlpack__(max_version=(1, 0))).flags == 1


def transposed(managed: Any) -> None:
    strides = (ctypes.c_int64 * 2)(1, 3)
    managed.tensor.strides = ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64))
    KEPT.append(strides)


KEPT: list[Any] = []


def of_64_bits(managed: Any) -> None:
    managed.tensor.bits = 64


@pytest.mark.parametrize(
    ("change", "got"),
    [(transposed, r"float32 of shape \[3, 4\] in another order"), (of_64_bits, r"float64 of shape \[3, 4\]")],
    ids=["order", "type"],
)
def test_what_would_need_a_copy_is_refused(change: Callable[[Any], None], got: str) -> None:
    with pytest.raises(ValueError, match=rf"\[dlpack\] expected float32 or bfloat16 in row-major order, got {got}"):
        attnkit.from_dlpack(Producer(there(3, 4), change))


@pytest.mark.parametrize("device", [(2, 7), (10, 0), (12, 1)])
def test_a_device_that_is_not_here(device: tuple[int, int]) -> None:
    source = Producer(there(2))
    source.device = device
    words = rf"expected memory of the CPU or of a GPU that is here, got that of device \({device[0]}, {device[1]}\)"
    with pytest.raises(ValueError, match=words):
        attnkit.from_dlpack(source)


def test_a_capsule_of_a_version_to_come() -> None:
    def newer(managed: Any) -> None:
        managed.version[0] = 2

    with pytest.raises(ValueError, match=r"\[dlpack\] expected a capsule of DLPack 1, got one of version 2"):
        attnkit.from_dlpack(Producer(there(2), newer, max_version=(1, 0)))
