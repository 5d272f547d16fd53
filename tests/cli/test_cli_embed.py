"""attnkit embed: lines in, a matrix or JSON lines out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import attnkit_run, complaint, output
from embedding_model import TEXTS, save_embedder

import attnkit


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_embedder(tmp_path_factory.mktemp("cli-embed") / "model", prompts={"query": "the bird "})


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{text}\n" for text in TEXTS))
    return path


def test_a_matrix(model: Path, texts: Path, tmp_path: Path) -> None:
    done = attnkit_run("embed", model, texts, "-o", tmp_path / "vectors.npy", "--threads", "1")
    assert done.returncode == 0 and done.stdout == b""
    assert b"1 text is longer than the model reads" in done.stderr and b"text 6" in done.stderr
    expected = attnkit.load(model, task="embed").embed(TEXTS)
    assert np.load(tmp_path / "vectors.npy").tobytes() == expected.tobytes()
    assert np.load(tmp_path / "vectors.npy", mmap_mode="r").shape == expected.shape


def test_json_lines(model: Path, texts: Path) -> None:
    rows = [json.loads(line) for line in output("embed", model, "-i", texts).splitlines()]
    assert [row["text"] for row in rows] == TEXTS
    assert [row["truncated"] for row in rows] == [False] * 5 + [True]
    expected = attnkit.load(model, task="embed").embed(TEXTS)
    assert np.array([row["vector"] for row in rows], np.float32).tobytes() == expected.tobytes()


def test_other_inputs(model: Path, texts: Path, tmp_path: Path) -> None:
    """Standard input, a packed file, JSON lines, several files: the same vectors."""
    expected = output("embed", model, texts)
    assert output("embed", model, text=texts.read_text()) == expected
    (tmp_path / "texts.gz").write_bytes(gzip.compress(texts.read_bytes()))
    assert output("embed", model, tmp_path / "texts.gz") == expected
    records = tmp_path / "texts.jsonl"
    records.write_text("".join(json.dumps({"said": text}) + "\n" for text in TEXTS))
    assert output("embed", model, records, "--text-key", "said") == expected
    assert output("embed", model, texts, texts) == expected * 2


def test_prompts_and_lengths(model: Path) -> None:
    asked = json.loads(output("embed", model, "--prompt", "query", "--normalize", text="sings\n"))
    written = json.loads(output("embed", model, "--normalize", text="the bird sings\n"))
    assert asked["vector"] == written["vector"] and asked["text"] == "sings"
    assert np.linalg.norm(asked["vector"]) == pytest.approx(1, abs=1e-5)
    assert "expected one of query, got 'passage'" in complaint("embed", model, "--prompt", "passage", text="a\n")


def test_a_matrix_needs_a_file_and_is_whole_or_not_there(model: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"good\n\xff\n")
    assert "bad.txt" in complaint("embed", model, tmp_path / "bad.txt", "-o", tmp_path / "vectors.npy")
    assert not (tmp_path / "vectors.npy").exists()
    (tmp_path / "empty.txt").write_text("")
    output("embed", model, tmp_path / "empty.txt", "-o", tmp_path / "none.npy")
    assert np.load(tmp_path / "none.npy").shape == (0, 16)


def test_another_task(model: Path) -> None:
    assert "which attnkit embed runs" in complaint("classify", model, text="a\n")
