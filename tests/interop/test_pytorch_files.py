"""PyTorch's files are read without PyTorch and without pickle: sound ones exactly, all others end in one line."""

from __future__ import annotations

import ast
import importlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_files as files

from attnkit.interop import pytorch_pickle
from attnkit.interop.pytorch_file import PytorchFile
from attnkit.interop.tensors import Tensors

ARRAYS = {
    "w": np.arange(6, dtype="f4").reshape(2, 3),
    "half": np.array([1.5, -2.0, 65504.0], "f2"),
    "double": np.array([[0.1]], "f8"),
    "scalar": np.array(7.0, "f4"),
    "none": np.zeros((0, 4), "f4"),
    "ids": np.arange(4, dtype="i8"),
}
ROW = {"0": np.arange(12, dtype="f4").tobytes()}  # a storage of twelve numbers


def read(path: Path) -> dict[str, np.ndarray]:
    file = PytorchFile(path)
    return {name: file.read_floats(name) for name, entry in file.entries.items() if entry.type.startswith(("F", "B"))}


def refusal(content: bytes, tmp_path: Path) -> str:
    """Without the file's name."""
    path = files.write(tmp_path / "pytorch_model.bin", content)
    with pytest.raises(ValueError, match=r"^\[pytorch\] ") as caught:
        PytorchFile(path)
    message = str(caught.value)
    assert "\n" not in message and message.isprintable() and len(message) < 1000
    return message.removeprefix(f"[pytorch] {path}: ")


# ----- Sound files


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("under", [None, "state_dict", "model_state_dict", "model"])
def test_a_state_dict_in_both_formats(old: bool, under: str | None, tmp_path: Path) -> None:
    file = PytorchFile(files.write(tmp_path / "x.bin", files.saved(ARRAYS, old, under)))
    assert file.entries.keys() == ARRAYS.keys() and file.under == under and file.others == 0
    for name in ARRAYS.keys() - {"ids"}:
        array = file.read_floats(name)
        assert array.dtype == np.float32 and array.shape == ARRAYS[name].shape
        assert np.array_equal(array, ARRAYS[name].astype(np.float32))
    assert (file.entries["ids"].type, file.entries["ids"].shape) == ("I64", (4,))
    with pytest.raises(ValueError, match="expected ids of type F32, F16, BF16, F64, got I64"):
        file.read_floats("ids")


def test_an_archive_of_pytorch_before_2(tmp_path: Path) -> None:
    """It says nothing of the order of bytes."""
    opcodes = files.table({"x": files.tensor(files.storage("94049", 12, device="cuda:0"), (12,))})
    members = {"data.pkl": files.pickle(opcodes), "data/94049": ROW["0"], "version": b"3\n"}
    assert read(files.write(tmp_path / "x.bin", files.archive(members)))["x"].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "expected"),
    [
        ((3, 4), (4, 1), 0, np.arange(12).reshape(3, 4)),
        ((4, 3), (1, 4), 0, np.arange(12).reshape(3, 4).T),
        ((2, 2), (4, 2), 5, [[5, 7], [9, 11]]),
        ((2, 3), (0, 1), 1, [[1, 2, 3]] * 2),
        ((3,), (1,), 9, [9, 10, 11]),
        ((), (), 11, 11),
        ((1, 1), (99, 1 << 63), 11, [[11]]),
        ((0, 7), (7, 1), 12, np.zeros((0, 7))),
    ],
)
def test_views_of_a_storage(shape: Any, strides: Any, offset: int, expected: Any, tmp_path: Path) -> None:
    tensor = files.tensor(files.storage("0", 12), shape, strides, offset)
    found = read(files.write(tmp_path / "x.bin", files.zipped(files.table({"x": tensor}), ROW)))["x"]
    assert np.array_equal(found, expected) and found.shape == shape and found.flags.c_contiguous


def test_a_storage_that_several_share_counts_once(tmp_path: Path) -> None:
    shared = {name: files.tensor(files.storage("0", 12), (3, 4)) for name in ("a", "b", "c")}
    files.write(tmp_path / "pytorch_model.bin", files.zipped(files.table(shared), ROW))
    tensors = Tensors(tmp_path)
    assert tensors.total_size() == 12 and tensors.names() == {"a", "b", "c"} and "a" in tensors
    assert np.array_equal(tensors.read("a", (3, 4)), tensors.read("c", (3, 4)))
    with pytest.raises(ValueError, match=r"expected a of shape \[4, 3\], got \[3, 4\]"):
        tensors.read("a", (4, 3))
    with pytest.raises(ValueError, match="expected a tensor d"):
        tensors.read("d", (4, 3))


def test_what_is_no_tensor_is_counted(tmp_path: Path) -> None:
    more = {"step": files.number(3), "name": files.text("x"), "rate": b"G" + struct.pack(">d", 0.5), "none": b"N"}
    more |= {"list": b"](K\1\x88\x89e", "nested": b"}" + files.text("a") + b"]K\1as"}
    files.write(tmp_path / "pytorch_model.bin", files.zipped(files.table(files.tensors({"w": np.ones(3, "f4")}) | more),
                                                             {"0": np.ones(3, "f4").tobytes()}))  # fmt: skip
    [note] = Tensors(tmp_path).notes
    assert "only its tensors were read" in note and "6 values" in note and "no model.safetensors" in note


def test_float64_beyond_float32_is_refused(tmp_path: Path) -> None:
    arrays = {"a": np.array([1e300]), "b": np.array([np.inf, np.nan, 3e38])}
    file = PytorchFile(files.write(tmp_path / "x.bin", files.saved(arrays)))
    with pytest.raises(ValueError, match="expected a within the range of float32"):
        file.read_floats("a")
    assert np.isinf(file.read_floats("b")[0]) and np.isnan(file.read_floats("b")[1])


def test_bfloat16_as_its_bits(tmp_path: Path) -> None:
    bits = np.array([0x3F80, 0xC000, 0x7F80], "<u2").tobytes()
    tensor = files.table({"x": files.tensor(files.storage("0", 3, "BFloat16"), (3,))})
    assert read(files.write(tmp_path / "x.bin", files.zipped(tensor, {"0": bits})))["x"].tolist() == [1.0, -2.0, np.inf]


def test_safetensors_come_first(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    files.write(tmp_path / "pytorch_model.bin", b"cos\nsystem\n(S'true'\ntR.")
    save_file({"w": np.ones(3, np.float32)}, tmp_path / "model.safetensors")
    tensors = Tensors(tmp_path)
    assert tensors.file.name == "model.safetensors" and tensors.notes == []


def test_shards(tmp_path: Path) -> None:
    parts = {f"pytorch_model-0000{i}-of-00002.bin": {name: ARRAYS[name]} for i, name in ((1, "w"), (2, "half"))}
    for name, arrays in parts.items():
        files.write(tmp_path / name, files.saved(arrays))
    index = tmp_path / "pytorch_model.bin.index.json"
    names = {tensor: name for name, arrays in parts.items() for tensor in arrays}
    index.write_text(json.dumps({"metadata": {"total_size": 30}, "weight_map": names}))
    tensors = Tensors(tmp_path)
    assert tensors.names() == {"w", "half"} and tensors.total_size() == 9 and len(tensors.notes) == 1
    assert np.array_equal(tensors.read("w", (2, 3)), ARRAYS["w"])
    for bad, message in (("../x.bin", "beside it"), ("none.bin", "no such file, though pytorch_model.bin.index.json")):
        index.write_text(json.dumps({"weight_map": names | {"w": bad}}))
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            Tensors(tmp_path)


# ----- Pickles that are no state dict


OS = b"cos\nsystem\n"
STACKED = b"\x8c\x05posix\x8c\x06system\x93"
PICKLES: dict[str, tuple[bytes, str]] = {
    "GLOBAL": (OS + b"(S'touch owned'\ntR", "a call of os.system"),
    "STACK_GLOBAL": (STACKED + b"\x8c\x01x\x85R", "a call of posix.system"),
    "REDUCE of a storage's type": (files.named("torch.FloatStorage") + b"K\1\x85R", "a call of torch.FloatStorage"),
    "REDUCE of text": (files.text("os.system") + b")R", "a call of a value of type str"),
    "REDUCE without a tuple": (files.named("collections.OrderedDict") + b"]R", "a call of collections.OrderedDict"),
    "INST": (b"(" + files.text("x") + b"ios\nsystem\n", "a call of os.system"),
    "OBJ": (b"(Ntoo", "opcode OBJ"),
    "NEWOBJ": (files.named("collections.OrderedDict") + b")\x81", "opcode NEWOBJ"),
    "NEWOBJ_EX": (files.named("collections.OrderedDict") + b")}\x92", "opcode NEWOBJ_EX"),
    "EXT1": (b"\x82\x01", "opcode EXT1"),
    "PERSID": (b"P0\n", "opcode PERSID"),
    "BUILD of a number": (b"K\1}b", "give attributes to"),
    "BUILD of a tensor": (
        files.tensor(files.storage("0", 12), (12,)) + files.table({"__setstate__": b"N"}) + b"b",
        "give attributes to",
    ),
    "BUILD with a tuple": (b"}N}\x86b", "attributes of a dict"),
    "SETITEM of a tensor": (
        files.tensor(files.storage("0", 12), (12,)) + b"K\0K\1s",
        "expected a dict to set keys of, got a value of type StoredTensor",
    ),
    "SETITEMS of a storage": (files.storage("0", 12) + b"(K\0K\1u", "expected a dict to set keys of"),
    "APPEND to a dict": (b"}K\1a", "expected a list to append to"),
    "a key that is a tuple": (b"})K\1s", "keys of text"),
    "a key that is huge": (b"}" + files.number(1 << 70) + b"K\1s", "keys of text"),
    "nested deeply": (b"(" * 100_000, "at most 100 levels"),
    "many values": (b"N" * 70_000, "at most 65,536 values"),
    "a bomb of memos": (b"Nr\xff\xff\xff\xff", "at most 1,048,576 values kept"),
    "a value never kept": (b"h\x07", "a value kept as 7"),
    "LONG4": (b"\x8b\xff\xff\xff\x7f", "opcode LONG4"),
    "LONG1 of 255 bytes": (b"\x8a\xff" + b"\1" * 255, "at most 10 bytes, got 255"),
    "text without end": (b"X\xff\xff\xff\xff", "at most 65,536 bytes, got 4,294,967,295"),
    "text that is cut": (b"X\xff\xff\0\0a", "whole pickle"),
    "text that is none": (b"U\1\xff", "text in UTF-8"),
    "a name without end": (b"c" + b"a" * 5000, "name of at most 256 bytes"),
    "a name of escapes": (b"c\x1b[2J\nx\n", "a call of \ufffd[2J.x"),
    "a name of numbers": (b"K\1K\2\x93", "name of text"),
    "protocol 9": (b"\x80\x09N", "protocol 5"),
    "no opcode": (b"\xff", "expected a pickle, got the byte 0xff at "),
    "nothing on the stack": (b"a", "a value on the stack"),
    "no mark": (b"N" + b"t", "a mark"),
    "two objects": (b"NN", "one object"),
    "nothing": (b"", "one object"),
    "a mark left": (b"N(", "one object"),
    "an odd key": (b"}(K\1u", "a value for each key"),
    "a whole module": (files.named("torch.nn.modules.linear.Linear") + b")R", "a whole module, torch.nn.modules.lin"),
    "a module's source": (b"(" + files.text("module") + b"NNtQ", "a whole module"),
    "a set": (b"\x8f", "opcode EMPTY_SET"),
    "bytes": (b"C\1a", "opcode SHORT_BINBYTES"),
    "a dictionary made of pairs": (files.called("collections.OrderedDict", b"]"), "set one by one"),
    "quantised": (files.named("torch._utils._rebuild_qtensor") + b")R", "a call of torch._utils._rebuild_qtensor"),
    "a parameter over nothing": (files.called("torch._utils._rebuild_parameter", b"N", b"\x88", b"}"), "over a tensor"),
    "a number": (b"K\1", "expected a state dict, got a value of type int"),
    "one tensor": (files.tensor(files.storage("0", 12), (12,)), "without a name"),
    "no tensors": (files.table({"a": b"K\1", "model": b"}"}), "under state_dict, model_state_dict, model"),
    "names of numbers": (b"}K\1" + files.tensor(files.storage("0", 12), (12,)) + b"s", "names of tensors, got 1"),
    "names of escapes": (files.table({"\x1b[2J": files.tensor(files.storage("0", 12), (12,))}), "names of tensors"),
}  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("what", PICKLES)
def test_other_pickles(what: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opcodes, message = PICKLES[what]
    storages = {"0": (12, ROW["0"])} if b"torch" in opcodes else {}
    content = files.legacy(opcodes, storages) if old else files.zipped(opcodes, ROW)
    assert any(part in refusal(content, tmp_path) for part in message.split("|"))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("what", ["GLOBAL", "STACK_GLOBAL", "INST"])
@pytest.mark.parametrize("at", ["first", "version", "system", "keys"])
def test_every_pickle_of_the_older_format_is_read_so(what: str, at: str, tmp_path: Path) -> None:
    opcodes, message = PICKLES[what]
    head = {"first": b"", "version": files.MAGIC, "system": files.MAGIC + files.VERSION}
    if at == "keys":
        empty = files.legacy(b"}")
        content = empty[: empty.rindex(b"\x80\x02](e.")] + files.pickle(opcodes)
    else:
        content = head[at] + files.pickle(opcodes)
    assert message in refusal(content, tmp_path)


def test_tuples_that_laugh_a_billion_times_stay_small(tmp_path: Path) -> None:
    laugh = b")" + b"".join(b"r" + struct.pack("<I", i) + b"j" + struct.pack("<I", i) + b"\x86" for i in range(5000))
    tensor = {"w": files.tensor(files.storage("0", 12), (12,)), "laugh": laugh}
    assert list(read(files.write(tmp_path / "x.bin", files.zipped(files.table(tensor), ROW)))) == ["w"]
    arguments = (files.storage("0", 12), b"K\0", laugh, laugh, b"N", b"N")
    used_as_shape = files.called("torch._utils._rebuild_tensor_v2", *arguments)
    assert "offset, shape and strides" in refusal(files.zipped(used_as_shape, ROW), tmp_path)


def test_the_number_of_opcodes_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pytorch_pickle, "_MOST_OPCODES", 1000)
    lists = b"]" + b"]a" * 1000
    assert "at most 1,000 opcodes" in refusal(files.zipped(lists), tmp_path)
    assert "at most 1,000 opcodes" in refusal(files.legacy(lists), tmp_path)


# ----- Tensors that are not there


TENSORS: dict[str, tuple[bytes, str]] = {
    "a storage that says more": (files.tensor(files.storage("0", 13), (12,)), "expected 52 bytes of 'data/0', got 48"),
    "a storage that says less": (files.tensor(files.storage("0", 11), (11,)), "expected 44 bytes of 'data/0', got 48"),
    "a storage of another type": (files.tensor(files.storage("0", 12, "Double"), (12,)), "96 bytes"),
    "a storage of 2^59 numbers": (files.tensor(files.storage("0", 1 << 59), (12,)), "bytes of 'data/0', got 48"),
    "a storage of 2^62 numbers": (files.tensor(files.storage("0", 1 << 62), (12,)), "a count of numbers"),
    "a storage of -1 numbers": (files.tensor(files.storage("0", -1), (12,)), "a count of numbers"),
    "a storage twice": (
        files.table({"a": files.tensor(files.storage("0", 12), (12,)),
                     "b": files.tensor(files.storage("0", 24, "Half"), (24,))}),
        "of one type and size, got two",
    ),
    "a key that leads out": (files.tensor(files.storage("../x", 12), (12,)), "the storage 'data/../x', got none"),
    "a key that is a number": (b"(" + files.text("storage") + files.named("torch.FloatStorage") + b"K\0NK\x0ctQ",
                               "a storage with a key"),
    "a type that is text": (b"(" + files.text("storage") + files.text("FloatStorage") + files.text("0") + b"NK\x0ctQ",
                            "a type that is read"),
    "an id that is text": (files.text("storage") + b"Q", "the id of a storage"),
    "an id of nothing": (b")Q", "the id of a storage"),
    "a view of a storage": (files.storage("0", 12, more=b")"), "old versions of PyTorch"),
    "beyond the storage": (files.tensor(files.storage("0", 12), (12,), offset=1), "views within their storages"),
    "strides beyond it": (files.tensor(files.storage("0", 12), (3, 4), (5, 1)), "views within their storages"),
    "strides that overflow": (
        files.tensor(files.storage("0", 12), (5, 4), (1 << 62, 1)), "views within their storages"
    ),
    "an offset that overflows": (files.tensor(files.storage("0", 12), (1,), offset=(1 << 63) - 1), "views within"),
    "a negative stride": (files.tensor(files.storage("0", 12), (12,), (-1,)), "none negative"),
    "a negative offset": (files.tensor(files.storage("0", 12), (1,), offset=-1), "none negative"),
    "a negative size": (files.tensor(files.storage("0", 12), (-1,)), "none negative"),
    "strides of another rank": (files.tensor(files.storage("0", 12), (3, 4), (1,)), "none negative"),
    "33 sizes": (files.tensor(files.storage("0", 12), (1,) * 33), "at most 32 sizes"),
    "a row of 2^40 copies": (files.tensor(files.storage("0", 12), (1 << 40, 12), (0, 1)), "not repeated so often"),
    "nothing of 2^62 rows": (files.tensor(files.storage("0", 12), (0, 1 << 62)), "fits a memory"),
    "no storage": (files.tensor(b"N", (12,)), "a tensor over a storage"),
    "a negative of its storage": (
        files.called("torch._utils._rebuild_tensor_v2", files.storage("0", 12), b"K\0", files.numbers((12,)),
                     files.numbers((1,)), b"\x89", b"N", b"}" + files.text("neg") + b"\x88s"),
        "the negative or the conjugate",
    ),
    "four arguments": (
        files.called("torch._utils._rebuild_tensor_v2", files.storage("0", 12), b"K\0", b")", b")"), "over a storage"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TENSORS)
def test_tensors_that_are_not_there(what: str, tmp_path: Path) -> None:
    opcodes, message = TENSORS[what]
    assert message in refusal(files.zipped(files.table({"x": opcodes}), ROW), tmp_path)


@pytest.mark.parametrize(
    ("storages", "message"),
    [
        ({"0": (11, ROW["0"])}, "expected 12 numbers of the storage '0', got 11"),
        ({"0": (-1, b"")}, "got -1"),
        ({"0": (1 << 62, b"")}, "got 4,611,686,018,427,387,904"),
        ({"0": (12, b"")}, "expected 48 bytes of the storage '0', got 0"),
        ({"0": (12, ROW["0"] + b"more")}, "expected a file of"),
        ({"1": (12, ROW["0"])}, "the key of each storage once"),
        ({"0": (12, ROW["0"]), "1": (12, ROW["0"])}, "the key of each storage once"),
        ({}, "the key of each storage once"),
    ],
)
def test_storages_of_the_older_format(storages: dict[str, tuple[int, bytes]], message: str, tmp_path: Path) -> None:
    opcodes = files.table({"x": files.tensor(files.storage("0", 12), (12,))})
    assert message in refusal(files.legacy(opcodes, storages), tmp_path)


def test_big_endian_files_are_refused(tmp_path: Path) -> None:
    opcodes = files.table({"x": files.tensor(files.storage("0", 12), (12,))})
    assert "little-endian" in refusal(files.zipped(opcodes, ROW, byteorder=b"big"), tmp_path)
    assert "little-endian" in refusal(files.legacy(opcodes, {"0": (12, ROW["0"])}, little=False), tmp_path)


# ----- Containers


SOUND = files.zipped(files.table({"x": files.tensor(files.storage("0", 12), (12,))}), ROW)


def repacked(**options: Any) -> bytes:
    """The sound archive by `zipfile`, with other options."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(SOUND)) as old, zipfile.ZipFile(file, "w", **options) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return file.getvalue()


def entry(name: str, offset: int, form: str, value: int) -> bytes:
    """A field of the directory's entry of this member changed."""
    made = bytearray(SOUND)
    at = made.rindex(f"archive/{name}".encode()) - 46
    struct.pack_into(form, made, at + offset, value)
    return bytes(made)


def end(offset: int, form: str, value: int) -> bytes:
    made = bytearray(SOUND)
    struct.pack_into(form, made, len(made) - 22 + offset, value)
    return bytes(made)


def begin_of(name: str) -> int:
    with zipfile.ZipFile(io.BytesIO(SOUND)) as archive:
        return archive.getinfo(f"archive/{name}").header_offset


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"", "whole pickle"),
        (lambda: b"PK\3\4", "whole archive"),
        (lambda: SOUND[:-1], "is the file whole?"),
        (lambda: SOUND[: len(SOUND) // 2], "is the file whole?"),
        (lambda: SOUND + b"more", "is the file whole?"),
        (lambda: repacked(compression=zipfile.ZIP_DEFLATED), "'archive/data.pkl' packed"),
        (lambda: entry("data/0", 8, "<H", 1), "'archive/data/0' encrypted"),
        (lambda: entry("data/0", 10, "<H", 8), "packed"),
        (lambda: entry("data/0", 24, "<I", 1 << 30), "packed"),
        (lambda: entry("data/0", 34, "<H", 1), "a part of one"),
        (lambda: entry("data/0", 42, "<I", begin_of("data.pkl")), "over another"),
        (lambda: entry("data/0", 42, "<I", begin_of("data.pkl") + 1), "one behind the other"),
        (lambda: entry("data/0", 42, "<I", begin_of("version")), "expected 'archive/data/0' where|over another"),
        (lambda: entry("data/0", 42, "<I", 1 << 30), "beyond"),
        (lambda: entry("data/0", 42, "<I", 0xFFFFFFFF), "beyond"),
        (lambda: entry("data/0", 28, "<H", 60_000), "sound directory"),
        (lambda: end(8, "<HH"[:2], 60_000), "a part of one"),
        (lambda: end(4, "<H", 1), "a part of one"),
        (lambda: end(12, "<I", 1 << 30), "elsewhere or too large"),
        (lambda: end(16, "<I", 7), "elsewhere or too large"),
        (lambda: end(20, "<H", 7), "is the file whole?"),
        (lambda: files.archive({"data.pkl": b"."}, "a") + files.archive({"data.pkl": b"."}, "b"), "elsewhere"),
        (lambda: files.archive({"x/data.pkl": b"."}), "with one data.pkl, got 0"),
        (lambda: files.zipped(b"}", None, **{"constants.pkl": b""}), "a TorchScript archive"),
        (lambda: files.zipped(b"}", None, **{"code/__torch__.py": b""}), "a TorchScript archive"),
        (lambda: files.zipped(b"}", None, version=b"11"), "version 10 at the most, got b'11'"),
        (lambda: files.zipped(b"}", None, version=b"x"), "version 10"),
        (lambda: twice(), "'archive/data/0' twice|over another"),
        (lambda: b"\0" * 257 + b"ustar  \0" + b"\0" * 1000, "a tar, as PyTorch before 0.1.10"),
        (lambda: b"cos\nsystem\n(S'touch owned'\ntR.", "a call of os.system"),
        (lambda: files.pickle(b"K\1"), "expected a file of torch.save, got another pickle"),
        (lambda: files.MAGIC + files.pickle(b"K\1"), "version 1001"),
        (lambda: b"<!DOCTYPE html>", "expected a pickle, got the byte 0x3c at 0"),
    ],
)
def test_other_containers(content: Callable[[], bytes], message: str, tmp_path: Path) -> None:
    found = refusal(content(), tmp_path)
    assert any(part in found for part in message.split("|")), found


def twice() -> bytes:
    file = io.BytesIO(SOUND)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("archive/data/0", ROW["0"])
    return file.getvalue()


def large(content: bytes, **fields: int) -> bytes:
    """The archive in the form for large files, as PyTorch ends every one; `fields` of its end changed."""
    here, size, begin = struct.unpack("<8xH2x2I2x", content[-22:])
    values = {"here": here, "count": here, "size": size, "begin": begin} | fields
    whole = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, *values.values())
    return content[:-22] + whole + struct.pack("<4sIQI", b"PK\6\7", 0, len(content) - 22, 1) + content[-22:]


def test_the_form_for_large_files(tmp_path: Path) -> None:
    assert list(read(files.write(tmp_path / "x.bin", large(SOUND)))) == ["x"]
    for fields in ({"count": 3, "here": 3}, {"size": 1 << 40}, {"begin": 1 << 62}):
        assert "two that differ" in refusal(large(SOUND, **fields), tmp_path)
    assert "a part of one" in refusal(large(SOUND, count=3), tmp_path)
    # Where the old fields say that the numbers stand in the new ones.
    made = bytearray(large(SOUND))
    struct.pack_into("<2H2I", made, len(made) - 14, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    assert list(read(files.write(tmp_path / "x.bin", bytes(made)))) == ["x"]


def test_a_member_whose_numbers_are_large(tmp_path: Path) -> None:
    """A storage of more than 4 GiB has its size and place in the extra field; here a small one has."""
    made = bytearray(SOUND)
    at = made.rindex(b"archive/data/0") - 46
    place = struct.unpack_from("<I", made, at + 42)[0]
    for size, message in ((48, None), (1 << 40, "got 1,099,511,627,776|beyond")):
        one = bytearray(made)
        struct.pack_into("<2I", one, at + 20, 0xFFFFFFFF, 0xFFFFFFFF)
        struct.pack_into("<I", one, at + 42, 0xFFFFFFFF)
        struct.pack_into("<H", one, at + 30, 28)
        name_end = at + 46 + len("archive/data/0")
        one[name_end:name_end] = struct.pack("<2H3Q", 1, 24, size, size, place)
        struct.pack_into("<I", one, len(one) - 10, struct.unpack_from("<I", one, len(one) - 10)[0] + 28)
        if message is None:
            assert list(read(files.write(tmp_path / "x.bin", bytes(one)))) == ["x"]
        else:
            assert any(part in refusal(bytes(one), tmp_path) for part in message.split("|"))


def test_pointers_pipes_and_missing_files(tmp_path: Path) -> None:
    files.write(tmp_path / "x.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(ValueError, match="git lfs pull"):
        PytorchFile(tmp_path / "x.bin")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a pipe"):
        PytorchFile(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        PytorchFile(tmp_path / "none")


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    path = files.write(tmp_path / "x.bin", files.saved({"w": np.ones(1000, "f4")}))
    file = PytorchFile(path)
    os.truncate(path, 600)
    with pytest.raises(ValueError, match="stays as it is"):
        file.read_floats("w")


# ----- Nothing runs


WATCH = """
    import sys
    from pathlib import Path
    import numpy
    from attnkit.interop.pytorch_file import PytorchFile

    sound, *others = [Path(each) for each in sys.argv[1:]]
    PytorchFile(sound).read_floats("w")  # whatever is imported or opened by the way is by now
    before, seen = set(sys.modules), []
    RUNS = {"import", "exec", "compile", "os.system", "subprocess.Popen", "pickle.find_class", "marshal.loads"}

    def watch(event, arguments):
        if event in RUNS:
            seen.append((event, arguments))
        elif event == "open":
            seen.append((event, Path(arguments[0]))) if Path(arguments[0]) not in others else None

    sys.addaudithook(watch)
    refused = 0
    for path in others:
        try:
            PytorchFile(path)
        except ValueError:
            refused += 1
    assert refused == len(others), (refused, len(others))
    assert not seen, seen
    assert set(sys.modules) == before, set(sys.modules) - before
"""


def test_nothing_is_imported_run_or_opened(tmp_path: Path) -> None:
    sound = files.write(tmp_path / "sound", files.saved(ARRAYS))
    paths = [
        files.write(tmp_path / f"{index}-{old}", files.legacy(opcodes, {"0": (12, ROW["0"])}) if old
                    else files.zipped(opcodes, ROW))
        for index, (opcodes, _) in enumerate([*PICKLES.values(), *TENSORS.values()]) for old in (0, 1)
    ]  # fmt: skip
    program = [sys.executable, "-c", textwrap.dedent(WATCH), str(sound), *map(str, paths)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "owned").exists()


def test_no_module_that_unpickles_is_named_by_the_readers() -> None:
    """NumPy imports `pickle` itself, so that sys.modules cannot tell."""
    for path in Path(pytorch_pickle.__file__).parent.glob("*.py"):
        names = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
        assert not names & {"pickle", "_pickle", "pickletools", "copyreg", "shelve", "marshal", "joblib", "torch"}, path


# ----- As PyTorch itself writes them


def torch_states() -> dict[str, Any]:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    bias = torch.randn(8)
    return {
        "plain": base, "transposed": base.t(), "part": base[1:4, 2:7:2], "row": base[5], "last": base[-1, -1],
        "expanded": bias.expand(3, 8), "bias": bias, "parameter": torch.nn.Parameter(torch.randn(2, 3)),
        "frozen": torch.nn.Parameter(bias, requires_grad=False), "none": torch.zeros(0, 3),
        "permuted": torch.randn(2, 3, 4).permute(2, 0, 1), "flat": torch.randn(24).as_strided((3, 4), (4, 1), 5),
        **{f"of {kind}": torch.randn(5, 3).to(getattr(torch, kind))
           for kind in ("float16", "bfloat16", "float64", "float32")},
        **{f"int {kind}": torch.ones(5, dtype=getattr(torch, kind))
           for kind in ("int64", "int32", "int16", "int8", "uint8", "bool")},
    }  # fmt: skip


def same(path: Path, state: dict[str, Any]) -> None:
    file = PytorchFile(path)
    assert list(file.entries) == list(state)
    for name, tensor in state.items():
        assert file.entries[name].shape == tuple(tensor.shape)
        if tensor.is_floating_point():
            found, expected = file.read_floats(name), tensor.detach().float().numpy()
            assert found.shape == expected.shape and np.array_equal(found, expected), name
        else:
            assert file.entries[name].type not in ("F32", "F16", "BF16", "F64")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
def test_files_of_pytorch(protocol: int, zipped: bool, ordered: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from collections import OrderedDict

    state = torch_states()
    saved = OrderedDict(state) if ordered else state
    if ordered:
        saved._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    torch.save(saved, tmp_path / "x.bin", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    same(tmp_path / "x.bin", state)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("under", ["state_dict", "model_state_dict", "model"])
def test_training_checkpoints_of_pytorch(zipped: bool, under: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    saved = {under: model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "loss": 0.5, "rng": None}
    torch.save(saved, tmp_path / "x.bin", _use_new_zipfile_serialization=zipped)
    same(tmp_path / "x.bin", model.state_dict())
    assert PytorchFile(tmp_path / "x.bin").under == under


def test_many_tensors_of_pytorch(tmp_path: Path) -> None:
    """More than the pickler puts behind one mark."""
    torch = pytest.importorskip("torch")
    state = {f"layer.{index}": torch.full((2,), float(index)) for index in range(2500)}
    for zipped in (True, False):
        torch.save(state, tmp_path / "x.bin", _use_new_zipfile_serialization=zipped)
        same(tmp_path / "x.bin", state)


def test_what_else_pytorch_saves_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path, model = tmp_path / "x.bin", torch.nn.Linear(2, 2)

    def said() -> str:
        with pytest.raises(ValueError, match=r"^\[pytorch\] ") as caught:
            PytorchFile(path)
        return str(caught.value)

    for zipped in (True, False):
        torch.save(model, path, _use_new_zipfile_serialization=zipped)
        assert "a whole module" in said()
        torch.save({"x": torch.eye(3).to_sparse()}, path, _use_new_zipfile_serialization=zipped)
        assert "a call of torch._utils._rebuild_sparse_tensor" in said()
        torch.save({"x": torch.ones(3, dtype=torch.complex64)}, path, _use_new_zipfile_serialization=zipped)
        assert "a call of torch.ComplexFloatStorage" in said()
        torch.save({"x": torch.ones(3), "y": {1, 2}}, path, _use_new_zipfile_serialization=zipped)
        assert "expected a checkpoint of tensors alone" in said()
    with zipfile.ZipFile(path, "w") as archive:  # torch.jit.save's layout
        for name in ("m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"):
            archive.writestr(name, b"")
    assert "TorchScript" in said()


def test_the_writer_of_these_tests_writes_what_pytorch_reads(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for old in (False, True):
        path = files.write(tmp_path / "x.bin", files.saved(ARRAYS, old))
        loaded = torch.load(path, weights_only=True)
        assert list(loaded) == list(ARRAYS)
        assert all(np.array_equal(loaded[name].numpy(), array) for name, array in ARRAYS.items())


# ----- A model


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that needs neither PyTorch nor transformers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent / "robustness"))
        samples = importlib.import_module("samples")
    return Path(samples.write_checkpoint(tmp_path_factory.mktemp("marian") / "hf"))


def converted(folder: Path, target: Path) -> tuple[dict[str, bytes], list[str]]:
    from attnkit.interop import convert

    made = convert(folder, target)
    return {path.name: path.read_bytes() for path in target.iterdir()}, made.left_out


@pytest.mark.parametrize("form", ["zip", "legacy", "under model", "shards"])
def test_a_model_is_the_same_bytes_as_of_safetensors(form: str, checkpoint: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    expected, left_out = converted(checkpoint, tmp_path / "expected")
    folder = Path(shutil.copytree(checkpoint, tmp_path / "hf"))
    arrays = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if form == "shards":
        parts = {"pytorch_model-1.bin": sorted(arrays)[::2], "pytorch_model-2.bin": sorted(arrays)[1::2]}
        for name, some in parts.items():
            files.write(folder / name, files.saved({each: arrays[each] for each in some}))
        index = {"weight_map": {each: name for name, some in parts.items() for each in some}}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    else:
        content = files.saved(arrays, form == "legacy", "model" if form == "under model" else None)
        files.write(folder / "pytorch_model.bin", content)
    found, more = converted(folder, tmp_path / "found")
    assert found == expected
    assert more[1:] == left_out and "only its tensors were read" in more[0]
    assert ("under model" in more[0]) == (form == "under model")


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("shape", ["plain", "separate", "untied"])
def test_a_checkpoint_of_transformers(shape: str, zipped: bool, tmp_path: Path) -> None:
    """As `save_pretrained` wrote it before safetensors: with a tied matrix under all its names."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from marian_checkpoint import SHAPES, write_checkpoint

    model = write_checkpoint(tmp_path / "hf", **SHAPES[shape])
    expected, _ = converted(tmp_path / "hf", tmp_path / "expected")
    (tmp_path / "hf" / "model.safetensors").unlink()
    state = {name: tensor for name, tensor in model.state_dict().items() if "embed_positions" not in name}
    assert shape != "plain" or len({tensor.data_ptr() for tensor in state.values()}) < len(state)
    torch.save(state, tmp_path / "hf" / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert converted(tmp_path / "hf", tmp_path / "found")[0] == expected


def test_a_checkpoint_says_no_larger_model_than_it_has(checkpoint: Path, tmp_path: Path) -> None:
    """Tensors of one small storage are together no larger than it, whatever their number."""
    from attnkit.interop import convert

    folder = Path(shutil.copytree(checkpoint, tmp_path / "hf"))
    (folder / "model.safetensors").unlink()
    tensors = {f"x{i}": files.tensor(files.storage("0", 12), (16, 12), (0, 1)) for i in range(3000)}
    files.write(folder / "pytorch_model.bin", files.zipped(files.table(tensors), ROW))
    with pytest.raises(ValueError, match="describes a larger model than its tensors"):
        convert(folder, tmp_path / "out")
