"""safetensors files: every type comes back, only what is asked for is read, and nothing hostile gets in."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnkit.weights import WeightsError, WeightsFile, load_weights, map_weights, save_weights, widen

TYPES = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


def write(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def tensor(dtype: str, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_arrays_of_every_type_come_back(tmp_path: Path) -> None:
    state = {kind: np.arange(-3, 3).astype(kind).reshape(2, 3) for kind in TYPES}
    state |= {"scalar": np.array(7, np.int64), "nothing": np.zeros((0, 3), np.float32)}
    save_weights(state, tmp_path / "file", {"made": "here"})
    found = load_weights(tmp_path / "file")
    assert found.keys() == state.keys() and WeightsFile(tmp_path / "file").metadata == {"made": "here"}
    for name, array in state.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_bfloat16_is_bits_that_widen_to_float32(tmp_path: Path) -> None:
    bits = np.array([0x3F80, 0xC020, 0x7F80, 0x0001], np.uint16)
    file = WeightsFile(write(tmp_path / "file", {"x": tensor("BF16", [2, 2], 0, 8)}, bits.tobytes()))
    np.testing.assert_array_equal(file.read("x"), bits.reshape(2, 2))
    expected = np.array([[1.0, -2.5], [np.inf, 2.0**-133]], np.float32)
    for found in (widen(bits).reshape(2, 2), file.read_floats("x"), load_weights(file.path)["x"]):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)


def test_a_type_that_numpy_lacks_costs_only_those_who_read_it(tmp_path: Path) -> None:
    header = {"x": tensor("F8_E4M3", [4], 0, 4), "y": tensor("F4", [2, 4], 4, 8), "z": tensor("F32", [1], 8, 12)}
    file = WeightsFile(write(tmp_path / "file", header, bytes(8) + struct.pack("<f", 1.5)))
    assert file.read("z")[0] == 1.5 and file.entries["y"].shape == (2, 4)
    mapped = map_weights(file.path)
    assert mapped["z"][0] == 1.5 and mapped.keys() == {"z"} and mapped.skipped.keys() == {"x", "y"}
    with pytest.raises(WeightsError, match="expected x of a type that NumPy has, got F8_E4M3"):
        load_weights(file.path)


def test_integers_are_no_weights(tmp_path: Path) -> None:
    save_weights({"x": np.arange(3)}, tmp_path / "file")
    with pytest.raises(WeightsError, match="expected x of type F32, F16, BF16, F64, got I64"):
        WeightsFile(tmp_path / "file").read_floats("x")


def test_float32_that_lies_askew_is_mapped(tmp_path: Path) -> None:
    header = {"a": tensor("U8", [1], 0, 1), "x": tensor("F32", [2], 1, 9)}
    mapped = map_weights(write(tmp_path / "file", header, b"\x07" + struct.pack("<ff", 2.5, -1.0)))
    np.testing.assert_array_equal(mapped["x"], np.array([2.5, -1.0], np.float32))


def test_a_file_that_is_cut_after_its_header_was_read_is_refused(tmp_path: Path) -> None:
    save_weights({"x": np.ones(64, np.float32)}, tmp_path / "file")
    file = WeightsFile(tmp_path / "file")
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:-8])
    with pytest.raises(WeightsError, match="expected 64 numbers of x, got 62"):
        file.read("x")


ONE = tensor("F32", [2], 0, 8)
HOSTILE: dict[str, tuple[Any, bytes, str]] = {
    "no UTF-8": (b'{"\xff": 1}', b"", "utf-8"),
    "UTF-16": ('{"x": 1}'.encode("utf-16"), b"", "utf-8"),
    "no object": ([1], b"", "tensors by name"),
    "nested without end": (b'{"x":' + b"[" * 200_000, b"", "nested without end"),
    "a name twice": (b'{"x": 1, "x": 2}', b"", "one twice"),
    "metadata of numbers": ({"__metadata__": {"x": 1}}, b"", "text under __metadata__"),
    "metadata of a list": ({"__metadata__": [1]}, b"", "text under __metadata__"),
    "no shape": ({"x": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8), "expected dtype, shape and data_offsets"),
    "one more key": ({"x": {**ONE, "stride": 1}}, bytes(8), "expected dtype, shape and data_offsets"),
    "a type of no format": ({"x": tensor("F7", [2], 0, 8)}, bytes(8), "a type of the format for 'x', got 'F7'"),
    "a type that is a list": ({"x": tensor(["F32"], [2], 0, 8)}, bytes(8), "a type of the format"),  # type: ignore[arg-type]
    "half a size": ({"x": tensor("F32", [2.0], 0, 8)}, bytes(8), "a shape of at most 32"),
    "a truth as a size": ({"x": tensor("F32", [True, 2], 0, 8)}, bytes(8), "a shape of at most 32"),
    "a negative size": ({"x": tensor("F32", [-1, -2], 0, 8)}, bytes(8), "a shape of at most 32"),
    "very many axes": ({"x": tensor("F32", [1] * 100_000 + [2], 0, 8)}, bytes(8), "a shape of at most 32"),
    "sizes that overflow": ({"x": tensor("F32", [1 << 63, 1 << 63], 0, 8)}, bytes(8), "the bytes that the type"),
    "sizes that wrap around": ({"x": tensor("F32", [1 << 62, 4], 0, 0)}, b"", "the bytes that the type"),
    "a size of 4000 digits": ({"x": tensor("F32", [10**4000] * 32, 0, 8)}, bytes(8), "the bytes that the type"),
    "a number of 100,000 digits": (b'{"x": {"shape": [' + b"9" * 100_000 + b"]}}", b"", "digits"),
    "a long name": ({"x" * 100_000: 1}, b"", "expected dtype, shape and data_offsets"),
    "half a byte": ({"x": tensor("F4", [1], 0, 1)}, bytes(1), "the bytes that the type"),
    "offsets backwards": ({"x": tensor("F32", [2], 8, 0)}, bytes(8), "two rising offsets"),
    "three offsets": ({"x": {**ONE, "data_offsets": [0, 4, 8]}}, bytes(8), "two rising offsets"),
    "an offset beyond the file": ({"x": tensor("F32", [1 << 60], 0, 1 << 62)}, bytes(8), "two rising offsets up to 8"),
    "the same bytes twice": ({"x": ONE, "y": ONE}, bytes(8), "expected 'y' to begin at 8"),
    "bytes shared": ({"x": ONE, "y": tensor("F32", [2], 4, 12)}, bytes(12), "expected 'y' to begin at 8"),
    "a hole": ({"x": ONE, "y": tensor("F32", [2], 12, 20)}, bytes(20), "expected 'y' to begin at 8"),
    "bytes before": ({"x": tensor("F32", [2], 4, 12)}, bytes(12), "expected 'x' to begin at 0"),
    "bytes behind": ({"x": ONE}, bytes(9), "expected 8 bytes of tensors, got 9"),
}


@pytest.mark.parametrize(("header", "data", "message"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("read", [load_weights, map_weights])
def test_a_hostile_file_is_refused_in_one_line(
    tmp_path: Path, header: Any, data: bytes, message: str, read: Any
) -> None:
    file = write(tmp_path / "file", header, data)
    with pytest.raises(WeightsError, match=re.escape(f"{file}: not a readable safetensors file (")) as refused:
        read(file)
    assert message in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 1000


@pytest.mark.parametrize("length", [0, 3, 8, 1 << 40, (1 << 64) - 1])
def test_a_header_beyond_the_file_is_refused(tmp_path: Path, length: int) -> None:
    content = struct.pack("<Q", length)[: 3 if length == 3 else 8]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(WeightsError, match="not a readable safetensors file"):
        load_weights(tmp_path / "file")


@pytest.mark.parametrize("metadata", [None, {}, {"key": 'v"\n\x01é\u2028'}], ids=["none", "empty", "text"])
def test_the_bytes_are_those_of_the_library_of_the_format(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save

    state = {f"{kind} é": np.arange(6).reshape(2, 3).astype(kind) for kind in [*TYPES, "c8"]}
    state |= {"empty": np.zeros((0, 3), np.float32), "scalar": np.array(3.0), 'a."\n': np.ones(5, np.float32)}
    save_weights(state, tmp_path / "file", metadata)
    assert (tmp_path / "file").read_bytes() == bytes(save(state, metadata))
    assert load_file(tmp_path / "file").keys() == load_weights(tmp_path / "file").keys()


def test_arrays_in_another_order_are_written_as_they_read(tmp_path: Path) -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    state = {"transposed": x.T, "strided": x[:, ::2], "big-endian": x.astype(">f4")}
    save_weights(state, tmp_path / "file")
    for name, array in load_weights(tmp_path / "file").items():
        np.testing.assert_array_equal(array, state[name])
    with pytest.raises(TypeError, match="expected dates of a type that safetensors has, got datetime64"):
        save_weights({"dates": np.zeros(2, "M8[s]")}, tmp_path / "file")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.usefixtures("no_sanitizer")
def test_weights_are_written_without_a_second_copy(tmp_path: Path) -> None:
    """Training that fills most of a machine can still save: the library of the format ends in a panic there."""
    program = f"""
import resource, numpy as np
from attnkit.weights import save_weights
state = {{"w": np.ones((64, 1 << 20), np.float32)}}
used = 4096 * int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 26),) * 2)
save_weights(state, {str(tmp_path / "file")!r})
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "file").stat().st_size > 1 << 28
