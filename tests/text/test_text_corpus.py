"""Reading sentence pairs: formats, gzip, standard input, what is counted, and every kind of bad file."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnkit.data import lines
from attnkit.data.lines import MAX_LINE, read_lines
from attnkit.text.config import DataConfig
from attnkit.text.corpus import EncodedCorpus, ParallelCorpus, flatten, read_parallel
from attnkit.text.tokenizers.config import TokenizerConfig
from attnkit.text.tokenizers.pair import TokenizerPair

PAIRS = [("the cat", "il gatto"), ("the house", "la casa"), ("è", "ü\u2028x")]


def files(folder: Path, content: dict[str, bytes]) -> list[str]:
    for name, data in content.items():
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return [str(folder / name) for name in content]


def parallel(end: bytes = b"\n") -> list[bytes]:
    return [end.join(pair[side].encode() for pair in PAIRS) + end for side in (0, 1)]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_parallel_files(tmp_path: Path, suffix: str, end: bytes) -> None:
    source, target = parallel(end)
    corpus = ParallelCorpus.from_pairs(
        read_parallel(*files(tmp_path, {f"a.en{suffix}": source, f"a.it{suffix}": target}))
    )
    assert list(corpus) == PAIRS
    assert (corpus.report.kept, corpus.report.empty, corpus.report.read) == (3, 0, 3)


def test_tsv_and_json_lines(tmp_path: Path) -> None:
    tsv = "".join(f"{source}\t{target}\n" for source, target in PAIRS).encode()
    lines = b"".join(msgspec.json.encode({"en": s, "it": t, "id": 1}) + b"\n" for s, t in PAIRS)
    names = files(tmp_path, {"a.tsv.gz": tsv, "a.jsonl": lines + b"\n"})
    assert list(ParallelCorpus.read(names[0], format="tsv")) == PAIRS
    assert list(ParallelCorpus.read(names[1], format="jsonl", source_key="en", target_key="it")) == PAIRS


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"a\tb\n")))
    assert list(ParallelCorpus.read("-", format="tsv")) == [("a", "b")]
    with pytest.raises(ValueError, match="at most one of the two files to be standard input"):
        ParallelCorpus.read("-", "-")


def test_byte_order_mark_and_missing_last_newline(tmp_path: Path) -> None:
    (name,) = files(tmp_path, {"a.txt": b"\xef\xbb\xbfone\ntwo"})
    assert list(read_lines(name)) == ["one", "two"]


def test_empty_pairs_are_counted(tmp_path: Path) -> None:
    names = files(tmp_path, {"a": b"one\n\ntwo\n  \n", "b": b"uno\nzero\n\n\t\n"})
    corpus = ParallelCorpus.read(names[0], names[1])
    assert list(corpus) == [("one", "uno")]
    assert (corpus.report.kept, corpus.report.empty) == (1, 3)
    assert str(corpus.report) == "1 of 4 sentence pairs (left out: 3 empty)"


@pytest.mark.parametrize(("first", "second"), [(3, 5), (5, 3), (0, 2)])
def test_different_numbers_of_lines_are_refused_with_both_counts(tmp_path: Path, first: int, second: int) -> None:
    names = files(tmp_path, {"a": b"x\n" * first, "b": b"y\n" * second})
    with pytest.raises(ValueError, match=rf"got {first} in .*a and {second} in .*b$"):
        ParallelCorpus.read(names[0], names[1])


def test_invalid_utf8_names_file_and_line(tmp_path: Path) -> None:
    names = files(tmp_path, {"a": b"good\nbad \xff here\n", "b": b"x\ny\n"})
    with pytest.raises(ValueError, match=r"a, line 2: expected UTF-8, got byte 0xff at column 5"):
        ParallelCorpus.read(names[0], names[1])


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"line\n" * 10_000)[:60])
    (tmp_path / "none.gz").write_bytes(b"plain text\n")
    for name in ("cut.gz", "none.gz"):
        with pytest.raises(ValueError, match=rf"{name}, after line \d+: expected a whole gzip file"):
            list(read_lines(tmp_path / name))


def packed(path: Path, piece: bytes, count: int) -> Path:
    with gzip.open(path, "wb", 6) as file:
        for _ in range(count):
            file.write(piece)
    return path


def test_a_line_has_a_bound(tmp_path: Path) -> None:
    longest = b"a" * MAX_LINE
    for name, end in (("lf", b"\n"), ("crlf", b"\r\n"), ("none", b"")):
        (tmp_path / name).write_bytes(b"x\n" + longest + end)
        assert [len(line) for line in read_lines(tmp_path / name)] == [1, MAX_LINE]
        (tmp_path / name).write_bytes(b"x\n" + longest + b"a" + end + b"y\n")
        with pytest.raises(ValueError, match=rf"{name}, line 2: expected at most 8,388,608 bytes a line, got more"):
            list(read_lines(tmp_path / name))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limits")
def test_half_a_megabyte_that_is_one_line_takes_little_memory(tmp_path: Path) -> None:
    name = packed(tmp_path / "line.gz", b"the cat " * (1 << 17), 500)
    assert name.stat().st_size < 2_500_000
    code = (
        "import resource, sys\n"
        "from attnkit.data.lines import read_lines\n"
        "limit = 200_000_000\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))\n"
        "try: list(read_lines(sys.argv[1]))\n"
        "except ValueError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, timeout=60, text=True)
    assert "line 1: expected at most" in done.stdout, done.stderr


def test_a_packed_file_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_UNPACKED", 1 << 20)
    name = packed(tmp_path / "a.gz", b"line\n" * 1000, 400)  # 2 MB
    with pytest.raises(ValueError, match=r"a.gz, line 209716: expected at most 1,048,576 bytes .* unpack it first"):
        list(read_lines(name))
    (tmp_path / "a").write_bytes(gzip.decompress(name.read_bytes()))
    assert sum(1 for _ in read_lines(tmp_path / "a")) == 400_000
    random = packed(tmp_path / "b.gz", b"".join(b"%x\n" % hash((i, "x")) for i in range(100_000)), 1)
    monkeypatch.setattr(lines, "MAX_UNPACKED", 10)
    assert sum(1 for _ in read_lines(random)) == 100_000  # packed to a third, not to a hundredth


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ParallelCorpus.read(tmp_path / "none", format="tsv")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 2: expected a JSON object"),
        (b"[1]", "line 2: expected a JSON object, got list"),
        (b'{"source": "a"}', "line 2: expected a string under 'target', got nothing"),
        (b'{"source": "a", "target": 3}', "line 2: expected a string under 'target', got int"),
        (b"[" * 100_000, "line 2: expected a JSON object"),
    ],
)
def test_bad_json_lines(tmp_path: Path, line: bytes, message: str) -> None:
    (name,) = files(tmp_path, {"a.jsonl": b'{"source": "a", "target": "b"}\n' + line + b"\n"})
    with pytest.raises(ValueError, match=message):
        ParallelCorpus.read(name, format="jsonl")


def test_a_line_end_in_json_is_a_space(tmp_path: Path) -> None:
    """A vocabulary of characters that had one could not be read again."""
    (name,) = files(tmp_path, {"a.jsonl": json.dumps({"source": "a\nb\r\nc", "target": "A\rB"}).encode()})
    corpus = ParallelCorpus.read(name, format="jsonl")
    assert list(corpus) == [("a b c", "A B")]
    TokenizerPair.train(corpus.sources, corpus.targets, TokenizerConfig(kind="char")).save(tmp_path)
    assert " " in TokenizerPair.load(tmp_path, {"kind": "char", "joint": True, "lowercase": False}).source.pieces([4])


@pytest.mark.parametrize("line", [b"one", b"one\ttwo\tthree"])
def test_bad_tsv(tmp_path: Path, line: bytes) -> None:
    (name,) = files(tmp_path, {"a.tsv": line})
    with pytest.raises(ValueError, match="line 1: expected 2 fields"):
        ParallelCorpus.read(name, format="tsv")


def test_number_of_files_follows_the_format(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a source and a target file"):
        ParallelCorpus.read("a")
    with pytest.raises(ValueError, match="expected one file for the format 'tsv'"):
        ParallelCorpus.read("a", "b", "tsv")


def encode(text: str) -> list[int]:
    return [ord(char) for char in text]


def test_long_sentences_are_counted_on_either_side() -> None:
    corpus = ParallelCorpus.from_pairs([("a" * 3, "b"), ("a", "b" * 4), ("aa", "bbb"), ("", "b")])
    encoded = corpus.encode(encode, encode, max_length=3)
    assert (encoded.report.kept, encoded.report.too_long, encoded.report.empty) == (2, 1, 1)
    assert str(encoded.report) == "2 of 4 sentence pairs (left out: 1 empty, 1 too long)"
    assert [len(encoded.source(index)) for index in range(2)] == [3, 2]


@given(st.lists(st.tuples(st.text(min_size=1).map(str.strip), st.text(min_size=1).map(str.strip))))
def test_encoded_corpus_holds_every_kept_sentence(pairs: list[tuple[str, str]]) -> None:
    corpus = ParallelCorpus.from_pairs(pairs)
    encoded = corpus.encode(encode, encode)
    assert len(encoded) == len(corpus) == encoded.report.kept
    assert encoded.source_ids.dtype == encoded.target_ids.dtype == np.int32
    for index, (source, target) in enumerate(corpus):
        assert encoded.source(index).tolist() == encode(source)
        assert encoded.target(index).tolist() == encode(target)


def test_flatten() -> None:
    ids, offsets = flatten([[1, 2], [], [3]])
    assert ids.tolist() == [1, 2, 3]
    assert offsets.tolist() == [0, 2, 2, 3]
    assert ids.dtype == np.int32
    assert offsets.dtype == np.int64


def test_inconsistent_offsets_are_refused() -> None:
    ids, offsets = flatten([[1, 2], [3]])
    with pytest.raises(ValueError, match="as many sentences on both sides, got 2 and 1"):
        EncodedCorpus(ids, offsets, ids, offsets[[0, 2]])
    for bad in ([0, 3, 2], [1, 2, 3], [0, 4, 3]):
        with pytest.raises(ValueError, match="expected target offsets that rise from 0 to 3"):
            EncodedCorpus(ids, offsets, ids, np.array(bad))


# ----- The configuration


def test_data_configuration_reads_every_split(tmp_path: Path) -> None:
    names = files(tmp_path, {"a.en": b"one\n", "a.it": b"uno\n"})
    config = msgspec.convert({"train": names, "max_length": 9}, DataConfig)
    train = config.corpus("train")
    assert train is not None
    assert list(train) == [("one", "uno")]
    assert config.corpus("test") is None


def test_builtin_corpus_by_configuration() -> None:
    config = msgspec.convert({"builtin": "en-it", "builtin_train": 50, "builtin_held_out": 10}, DataConfig)
    splits = [config.corpus(split) for split in ("train", "validation", "test")]
    assert [len(split) for split in splits if split is not None] == [50, 10, 10]
    assert splits[2] is not None
    assert splits[2].targets[0] == "il gatto è sul tavolo"
    back = msgspec.structs.replace(config, builtin="it-en").corpus("test")
    assert back is not None
    assert list(back) == [(target, source) for source, target in splits[2]]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, 'train: expected files, or builtin = "en-it"'),
        ({"train": ["a"]}, r"train: expected 2 file\(s\) for format 'parallel', got 1"),
        ({"train": ["a"], "format": "tsv", "test": ["a", "b"]}, r"test: expected 1 file\(s\) for format 'tsv', got 2"),
        ({"builtin": "en-it", "test": ["a", "b"]}, "test: expected no files beside builtin"),
        ({"builtin": "en-xx"}, "Invalid enum value 'en-xx' - at `.*builtin`"),
        ({"trian": ["a", "b"]}, "unknown field `trian`"),
        ({"builtin": "en-it", "max_length": 0}, r"max_length"),
    ],
)
def test_bad_data_configurations_name_the_key(section: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(section, DataConfig)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "morse"}, "kind"),
        ({"vocab_size": 4}, "vocab_size"),
        ({"character_coverage": 1.5}, "character_coverage"),
        ({"kind": "word", "models": ["a"]}, "models: expected none for the kind 'word'"),
        ({"joint": False, "models": ["a"]}, "models: expected 2 files, source and target, got 1"),
    ],
)
def test_bad_tokenizer_configurations_name_the_key(section: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(section, TokenizerConfig)
