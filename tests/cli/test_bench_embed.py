"""`attnkit bench embed`: the same texts through attnkit and through PyTorch, of one checkpoint."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import command_line
import pytest
from command_line import complaint
from embedding_model import TEXTS, save_embedder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    (path := tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in TEXTS))
    return path


def record_of(file: Path, *arguments: str | Path) -> dict[str, Any]:
    command = command_line.command("bench", "embed", *arguments, "--runs", "1", "--threads", "1", "--json", file)
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 0 and "texts/s" in done.stdout, done.stderr
    record: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return record


def test_a_model_of_ones_own_is_timed_on_ones_own_text(tmp_path: Path, texts: Path) -> None:
    model = save_embedder(tmp_path / "model")
    record = record_of(tmp_path / "runs.json", "--model", model, "--texts", texts, "--batch", "2")
    words = sum(len(text.split()) for text in TEXTS)
    assert (record["bench"], record["count"], record["words"], record["batch"]) == ("embed", 5, words, 2)
    assert [run["name"] for run in record["runs"]] == ["attnkit int8", "attnkit fp32"]
    for run in record["runs"]:
        assert (run["units"], len(run["latencies"])) == (5, 5) and run["peak_bytes"] > 1e7
        assert min(run["cold_seconds"]) > min(run["load_seconds"]) > 0
    refused = complaint("bench", "embed", "--model", model, "--against", "torch", status=2)
    assert "expected --model to be a checkpoint of transformers'" in refused


def test_pytorch_runs_beside_us(tmp_path: Path) -> None:
    for package in ("torch", "transformers", "tokenizers"):
        pytest.importorskip(package)
    from text_encoders import write_checkpoint

    write_checkpoint(tmp_path / "hf", "bert")
    arguments = ("--model", tmp_path / "hf", "--count", "3", "--against", "torch", "--precision", "fp32")
    record = record_of(tmp_path / "runs.json", *arguments)
    assert [run["name"] for run in record["runs"]] == ["attnkit fp32", "torch fp32"]
    assert [(run["units"], len(run["latencies"])) for run in record["runs"]] == [(3, 3), (3, 3)]
    # Its tokenizer names no bound, and the text has more tokens than the model has positions.
    (tmp_path / "long.txt").write_text("a man " * 60 + "\n")
    record = record_of(tmp_path / "runs.json", *arguments[:2], "--texts", tmp_path / "long.txt", *arguments[4:])
    assert [run["name"] for run in record["runs"]] == ["attnkit fp32", "torch fp32"]
