"""`attnkit bench`: the numbers it prints are those of the runs it made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attnkit.benchmark import Contestant, measure
from attnkit.benchmark.train import SentenceBatch, synthetic_pairs, typical_batch
from attnkit.benchmark.train_worker import pack


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnkit.cli.main", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False)


def test_a_batch_is_of_similar_lengths_and_within_its_limit(tmp_path: Path) -> None:
    batch = typical_batch(synthetic_pairs(2000), 1024)
    longest = max(map(len, batch.sources + batch.targets))
    assert longest * len(batch.sources) <= 1024 < (longest + 8) * (len(batch.sources) + 8)
    assert batch.target_tokens == sum(len(target) - 1 for target in batch.targets)
    batch.save(tmp_path / "batch.npz")
    assert SentenceBatch.load(str(tmp_path / "batch.npz")) == batch


def test_a_packed_batch_holds_the_sentences(tmp_path: Path) -> None:
    packed = pack(SentenceBatch([[5, 6, 3], [7, 3]], [[2, 8, 3], [2, 9, 10, 3]]))
    assert packed.source_ids.tolist() == [5, 6, 3, 7, 3] and packed.source_offsets.tolist() == [0, 3, 5]
    assert packed.target_input_ids.tolist() == [2, 8, 2, 9, 10] and packed.target_labels.tolist() == [8, 3, 9, 10, 3]
    assert packed.target_offsets.tolist() == [0, 2, 5] and packed.tokens == 5 and packed.sentences == 2


def test_a_training_step_is_timed(tmp_path: Path) -> None:
    runs = tmp_path / "runs.json"
    result = bench("train", "transformer-tiny", "--batch-tokens", "64", "--runs", "2", "--json", str(runs))
    assert result.returncode == 0, result.stderr
    assert "attnkit fp32" in result.stdout and "attnkit bf16" in result.stdout and "tokens/s" in result.stdout
    record = json.loads(runs.read_text("utf-8"))
    assert record["model"] == "transformer-tiny" and record["cpu"]["threads"] >= 1
    for run in record["runs"]:
        assert len(run["seconds"]) == 2 and min(run["seconds"]) > 0
        assert 0 < run["units"] <= 64 and run["peak_bytes"] > 1e7


def test_pytorch_runs_beside_us() -> None:
    pytest.importorskip("torch")
    result = bench("train", "--batch-tokens", "64", "--runs", "1", "--precision", "fp32", "--against", "torch")
    assert result.returncode == 0, result.stderr
    assert "torch fp32" in result.stdout and "times the best peer" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "no-such-model"], "no-such-model"),
        (["train", "--against", "tensorflow"], "expected torch, got tensorflow"),
        (["train", "--data", "no-such-file", "neither"], "no-such-file"),
    ],
)
def test_bad_usage(arguments: list[str], message: str) -> None:
    result = bench(*arguments)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_a_contestant_that_dies_is_named() -> None:
    with pytest.raises(RuntimeError, match="the process of nobody ended with status 1"):
        measure([Contestant("nobody", "attnkit.no_such_module")], runs=1)
