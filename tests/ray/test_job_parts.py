"""How inputs are cut and results are named, without a cluster: what each part reads, and what a folder agrees to."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from attnkit.data.lines import read_lines
from attnkit.ray import storage
from attnkit.ray.manifest import agree
from attnkit.ray.parts import Source, cut_file, cut_list, texts_of
from attnkit.ray.work import Work

TEXTS = {
    "plain": b"one\ntwo\nthree\nfour\nfive\n",
    "without a last end": b"one\ntwo\nthree\nfour\nfive",
    "as many as fill parts": b"one\ntwo\nthree\nfour\n",
    "empty lines": b"\n\n\nfour\n\n",
    "of Windows, with a mark": b"\xef\xbb\xbfone\r\ntwo\r\n\r\nfour",
    "of several bytes": "eins\nzwei 漢字\ndrei 😀\n".encode(),
    "empty": b"",
}


def cut(path: Path, size: int = 2) -> Source:
    return cut_file(storage.Found(str(path), path.name), "out", ".txt", size)


@pytest.mark.parametrize("suffix", [".txt", ".txt.gz"])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_the_parts_of_a_file_are_its_lines_each_once_in_order(tmp_path, text, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(text) if suffix.endswith("gz") else text)
    source = cut(path)
    lines = list(read_lines(path))
    assert [line for part in source.parts for line in texts_of(part)] == lines
    assert source.count == len(lines) == sum(part.count for part in source.parts)
    assert len(source.parts) == max(1, -(-len(lines) // 2))
    assert [part.target for part in source.parts] == sorted(part.target for part in source.parts)


def test_parts_are_found_where_a_file_is_read_piece_by_piece(tmp_path, monkeypatch):
    monkeypatch.setattr("attnkit.ray.parts._PIECE", 7)
    path = tmp_path / "a.txt"
    path.write_bytes("".join(f"line {number}\n" * (number % 3) for number in range(100)).encode())
    for size in (1, 2, 3, 10, 1000):
        assert [line for part in cut(path, size).parts for line in texts_of(part)] == list(read_lines(path))


def test_a_part_has_a_digest_of_its_own_lines(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    text = [f"line {number}" for number in range(50)]

    def digests(lines: list[str], piece: int) -> list[str]:
        monkeypatch.setattr("attnkit.ray.parts._PIECE", piece)
        path.write_text("\n".join(lines))
        return [part.digest for part in cut(path, 8).parts]

    whole = digests(text, 1 << 20)
    assert len(set(whole)) == len(whole) == 7
    assert digests(text, 5) == digests(text, 7) == whole
    changed = digests([*text[:9], "other", *text[10:]], 5)
    assert [number for number, pair in enumerate(zip(whole, changed, strict=True)) if pair[0] != pair[1]] == [1]


def test_a_line_that_is_no_text_is_named_by_its_number_in_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\nthree\nf\xffur\n")
    first, second = cut(path).parts
    assert list(texts_of(first)) == ["one", "two"]
    with pytest.raises(ValueError, match="line 4: expected UTF-8, got byte 0xff at column 2"):
        list(texts_of(second))


def test_json_lines_of_a_part(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"t": "one"}\n{"t": "two"}\n\n{"t": 4}\n')
    first, second = cut(path).parts
    assert list(texts_of(first, "t")) == ["one", "two"]
    with pytest.raises(ValueError, match="line 4: expected a string under 't', got int"):
        list(texts_of(second, "t"))


def test_a_broken_gzip_file_is_an_error_of_one_line(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"one\n" * 1000)[:-9])
    with pytest.raises(ValueError, match=r"\[ray\] .*a\.gz: expected a whole gzip file"):
        cut(path)


def test_a_list_is_cut_too():
    source = cut_list("images", ["a.png", "b.png", "c.png"], "out", ".jsonl", 2)
    assert [part.items for part in source.parts] == [("a.png", "b.png"), ("c.png",)]
    assert [part.target for part in source.parts] == [
        f"out/images/part-0000{number}-of-00002.jsonl" for number in range(2)
    ]


def test_files_have_the_names_that_they_have_below_a_pattern(tmp_path):
    for name in ("a/one.txt", "a/b/two.txt", "a/b/.hidden.txt", "c.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n")
    names = lambda pattern: [file.name for file in storage.found(str(tmp_path / pattern))]  # noqa: E731
    assert names("**/*.txt") == ["a/b/two.txt", "a/one.txt"]
    assert names("a") == ["b/two.txt", "one.txt"]
    assert names("a/one.txt") == ["one.txt"]
    with pytest.raises(ValueError, match=r"expected files that match .*, got none"):
        names("*.jsonl")


def test_an_object_store_is_read_and_written_as_a_folder_is(tmp_path, monkeypatch):
    """By pyarrow's own interface, over a folder instead of a network."""
    fs = pytest.importorskip("pyarrow.fs")
    (tmp_path / "bucket" / "in").mkdir(parents=True)
    (tmp_path / "bucket" / "in" / "a.txt").write_bytes(TEXTS["plain"])
    (tmp_path / "bucket" / "in" / "b.txt.gz").write_bytes(gzip.compress(TEXTS["plain"]))
    (tmp_path / "bucket" / "in" / "c.md").write_bytes(b"")
    store = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(storage, "_filesystem", lambda path: (store, path.removeprefix("s3://")))
    plain, packed = storage.found("s3://bucket/in/*.txt*")
    assert (plain, packed.name) == (("s3://bucket/in/a.txt", "a.txt"), "b.txt.gz")
    assert [file.name for file in storage.found("s3://bucket/in")] == ["a.txt", "b.txt.gz", "c.md"]
    for file in (plain, packed):
        parts = cut_file(file, "s3://bucket/out", ".txt", 2).parts
        assert [line for part in parts for line in texts_of(part)] == ["one", "two", "three", "four", "five"]
    assert storage.present("s3://bucket/out") == set()
    assert storage.read_whole("s3://bucket/out/x") is None
    storage.write_whole("s3://bucket/out/x", b"whole")
    assert storage.present("s3://bucket/out") == {"x"}
    assert storage.read_whole("s3://bucket/out/x") == b"whole"


def said(folder: Path, source: Source, options: dict[str, Any], digest: str = "1", missing: int = 0) -> None:
    work = Work(task="translate", model="m", options=options, digests=(digest,))
    agree(str(folder), work, [source], list(source.parts[:missing]), {"jsonl": False})


def test_a_folder_keeps_to_the_model_the_options_and_the_inputs_that_it_began_with(tmp_path):
    folder = tmp_path / "out"
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("a\nb\nc\n")
    other.write_text("c\n")
    options = {"beam": 2, "keep": ("tags",), "batch_tokens": 100}
    said(folder, cut(one), options)
    said(folder, cut(one), options | {"batch_tokens": 200})  # so much memory, and the same answers
    said(folder, cut(other), options)
    with pytest.raises(ValueError, match="expected beam '2', got '3'; give another folder"):
        said(folder, cut(one), options | {"beam": 3})
    with pytest.raises(ValueError, match="expected prompt not given, got 'x'"):
        said(folder, cut(one), options | {"prompt": "x"})
    with pytest.raises(ValueError, match="expected the model m, as it was, got m, another one"):
        said(folder, cut(one), options, digest="2")
    one.write_text("a\nB\nc\n")
    said(folder, cut(one), options, missing=1)  # it had no answer yet
    one.write_text("a\nB\nC\n")
    with pytest.raises(ValueError, match=r"expected .*one\.txt, 3 to 3 as it was, got other content"):
        said(folder, cut(one), options, missing=1)
    one.write_text("a\nB\nc\nd\ne\n")
    with pytest.raises(ValueError, match=r"expected one\.txt with as many lines as it had, got 5"):
        said(folder, cut(one), options, missing=3)
    (folder / "attnkit-job.json").write_text("{")
    with pytest.raises(ValueError, match=r"attnkit-job\.json: expected what began this folder"):
        said(folder, cut(other), options)
