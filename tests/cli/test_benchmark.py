"""`attnkit bench`: the numbers it prints are those of the runs it made."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit.benchmark.decoding import DecodingMeasurement
from attnkit.benchmark.kernels import CASES, KERNELS, WORK, Case, Direction, KernelMeasurement
from attnkit.benchmark.runner import Contestant, measure
from attnkit.benchmark.sentences import synthetic_lines
from attnkit.benchmark.train import bench_train
from attnkit.benchmark.train_batches import (
    document_arrays,
    load_batch,
    save_batch,
    sentence_arrays,
    synthetic_pairs,
    units,
)
from attnkit.benchmark.train_models import MODELS
from attnkit.benchmark.train_worker import make_batch
from attnkit.benchmark.translate import SIZES, write_model
from attnkit.models import build_model


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "attnkit.cli.main", "bench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300, check=False)


def test_a_batch_is_of_similar_lengths_and_within_its_limit() -> None:
    arrays = sentence_arrays(synthetic_pairs(2000), 1024)
    lengths = np.concatenate([arrays["source_lengths"], arrays["target_lengths"]])
    sentences = len(arrays["target_lengths"])
    assert lengths.max() * sentences <= 1024 < (lengths.max() + 8) * (sentences + 8)
    assert units(MODELS["transformer-tiny"], arrays) == arrays["target_lengths"].sum() - sentences


def test_a_packed_batch_holds_the_sentences() -> None:
    packed = make_batch("sentences", sentence_arrays([([5, 6], [8]), ([7], [9, 10])], 100))
    assert packed.source_ids.tolist() == [5, 6, 3, 7, 3] and packed.source_offsets.tolist() == [0, 3, 5]
    assert packed.target_input_ids.tolist() == [2, 8, 2, 9, 10] and packed.target_labels.tolist() == [8, 3, 9, 10, 3]
    assert packed.target_offsets.tolist() == [0, 2, 5] and packed.tokens == 5 and packed.sentences == 2


def test_a_document_batch_holds_the_documents() -> None:
    arrays = document_arrays(600)
    packed = make_batch("documents", arrays)
    assert packed.sentence_offsets[-1] == len(packed.ids) and len(packed.labels) == units(MODELS["han"], arrays) == 3
    assert packed.document_offsets.tolist() == [0, 10, 20, 30] and 300 < len(packed.ids) < 1200


@pytest.mark.parametrize("model", [name for name in MODELS if name != "transformer-base"])
def test_every_model_takes_a_step_as_its_peer_does(model: str) -> None:
    """Also that the two are one model: they have the same weights, but for a bias here or there."""
    against = ("torch",) if find_spec("torch") else ()
    found = bench_train(model, ("fp32",), against, batch_tokens=128, batch_images=2, runs=1)
    assert len({each.units for each in found}) == 1 and found[0].units > 0 and len(found) == 1 + len(against)
    if against:
        from attnkit.benchmark.peers.torch_models import MAKERS

        trained = MODELS[model]
        theirs, *_ = MAKERS[model](trained, _arrays(model))
        ours = sum(parameter.size for parameter in build_model(trained.config, *trained.sizes).parameters())
        assert ours == pytest.approx(sum(each.numel() for each in theirs.parameters()), rel=0.005)


def _arrays(model: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        save_batch(Path(folder) / "batch.npz", MODELS[model], 128, 2)
        return load_batch(f"{folder}/batch.npz")


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
        (["translate", "--against", "torch"], "expected ctranslate2 or bergamot, got torch"),
        (["translate", "--against", "bergamot"], "--against bergamot: expected --model, and --bergamot-model"),
        (["translate", "--against", "bergamot", "--model", "."], "expected --model, and --bergamot-model"),
        (["translate", "tiny", "--model", "."], "expected a SIZE or --model, got both tiny and ."),
        (["translate", "--length", "4", "--model", "."], "--length: expected no --model"),
        (["translate", "--input", __file__], "--input: expected --model"),
        (["translate", "huge"], "huge"),
        (["translate", "--precision", "fp8"], "fp8"),
        (["kernels", "--against", "ctranslate2"], "expected torch, got ctranslate2"),
        (["kernels", "sorting"], "sorting"),
        (["kernels", "--largest", "1"], "leaves none"),
        (["train", "--data", "no-such-file", "neither"], "no-such-file"),
        (["train", "vit-tiny", "--data", __file__, __file__], "expected a model that translates, got vit-tiny"),
        (["caption", "resnet"], "resnet"),
    ],
)
def test_bad_usage(arguments: list[str], message: str) -> None:
    result = bench(*arguments)
    assert result.returncode == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_a_model_that_is_not_there_is_a_failure_as_for_other_commands() -> None:
    """It might be a name, which is no matter of usage."""
    result = bench("translate", "--model", "no-such-folder")
    assert result.returncode == 1 and "no-such-folder: no such directory" in result.stderr


def test_a_contestant_that_dies_is_named() -> None:
    with pytest.raises(RuntimeError, match="the process of nobody ended with status 1"):
        measure([Contestant("nobody", "attnkit.no_such_module")], runs=1)


# ----- translate


TINY_WORK = ("--sentences", "3", "--length", "4", "--batch", "2", "--runs", "1", "--beam", "2", "--precision", "fp32")


def test_translation_is_timed(tmp_path: Path) -> None:
    runs = tmp_path / "runs.json"
    result = bench("translate", "tiny", *TINY_WORK, "--json", str(runs))
    assert result.returncode == 0, result.stderr
    assert "attnkit fp32" in result.stdout and "tokens/s" in result.stdout and "beam 2" in result.stdout
    record = json.loads(runs.read_text("utf-8"))
    assert (record["bench"], record["model"], record["sentences"]) == ("translate", "tiny", 3)
    assert record["isa"] and record["versions"]["numpy"] and record["cpu"]["threads"] >= 1
    (run,) = record["runs"]
    assert (run["name"], run["beam"], run["units"]) == ("attnkit fp32", 2, 12)
    assert len(run["latencies"]) == 3 and len(run["seconds"]) == 1 and min(run["latencies"] + run["seconds"]) > 0
    assert min(run["cold_seconds"]) > min(run["load_seconds"]) > 0 and run["peak_bytes"] > 1e7


def test_ctranslate2_runs_beside_us_and_writes_the_same(tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    result = bench("translate", *TINY_WORK, "--against", "ctranslate2", "--threads", "1")
    assert result.returncode == 0, result.stderr
    assert "ctranslate2 int8 1x1" in result.stdout and "ctranslate2 float32 1x1" in result.stdout
    write_model(tmp_path / "attnkit", SIZES["tiny"])
    command = [sys.executable, "-m", "attnkit.benchmark.peers.ct2_model", str(tmp_path / "attnkit"), str(tmp_path)]
    subprocess.run([*command, "float32"], check=True)
    lines = synthetic_lines(4, SIZES["tiny"].vocabulary)
    ours = attnkit.load(tmp_path / "attnkit").translate(lines, beam=1, min_length=9, max_length=9)
    translator = ctranslate2.Translator(str(tmp_path / "float32"), compute_type="float32", intra_threads=1)
    theirs = translator.translate_batch(
        [[*line.split(), "</s>"] for line in lines], beam_size=1, min_decoding_length=9, max_decoding_length=9
    )
    assert [result.tokens for result in ours] == [result.hypotheses[0] for result in theirs]


def test_missing_peers_are_named_with_their_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from attnkit.benchmark import kernels, train
    from attnkit.benchmark.peers import translate_peers

    for module in (train, translate_peers):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    problems: list[str] = []
    assert not translate_peers.find_peers(("ctranslate2",), note=problems.append)
    assert problems == ["CTranslate2 is not installed: pip install ctranslate2"]
    assert "pip install torch" in kernels.peer_problems(("torch",))[0]
    assert not translate_peers.find_peers(()) and not kernels.peer_problems(())


@pytest.mark.parametrize("model", ["show-attend-tell", "show-and-tell", "vit-transformer"])
def test_captioning_is_timed(tmp_path: Path, model: str) -> None:
    runs = tmp_path / "runs.json"
    work = ("--count", "3", "--length", "4", "--batch", "2", "--runs", "1", "--beam", "2", "--precision", "int8")
    result = bench("caption", model, *work, "--json", str(runs))
    assert result.returncode == 0, result.stderr
    assert "attnkit int8" in result.stdout and "images/s" in result.stdout and "p50 ms" in result.stdout
    record = json.loads(runs.read_text("utf-8"))
    (run,) = record["runs"]
    assert (record["bench"], record["model"], run["beam"], run["units"]) == ("caption", model, 2, 3)
    assert len(run["latencies"]) == 3 and min(run["cold_seconds"]) > min(run["load_seconds"]) > 0


def test_percentiles_and_medians() -> None:
    found = DecodingMeasurement("attnkit", (2.0, 1.0, 4.0), 100, tuple(range(1, 102)), (0.1,), (0.2,), 7)
    assert found.units_per_second == 50 and found.latency(50) == 51 and found.latency(99) == 100


# ----- kernels


def test_kernels_are_timed(tmp_path: Path) -> None:
    runs = tmp_path / "runs.json"
    arguments = (
        "softmax",
        "attention",
        "--largest",
        "600000",
        "--runs",
        "2",
        "--precision",
        "fp32",
        "--json",
        str(runs),
    )
    result = bench("kernels", *arguments)
    assert result.returncode == 0, result.stderr
    assert "roof: fp32" in result.stdout and "attention causal" in result.stdout and "256x4x16x32" in result.stdout
    record = json.loads(runs.read_text("utf-8"))
    assert record["bench"] == "kernels" and min(record["roofs"].values()) > 0
    assert {run["kernel"] for run in record["runs"]} == {"attention"}  # no softmax is that small
    assert {(run["direction"], run["variant"]) for run in record["runs"]} == {
        ("forward", ""), ("both", ""), ("forward", "causal"), ("both", "causal"), ("forward", "weights"),
    }  # fmt: skip
    for run in record["runs"]:
        assert len(run["seconds"]["attnkit"]) == 2 and min(run["seconds"]["attnkit"]) > 0


def test_pytorch_kernels_run_beside_ours() -> None:
    pytest.importorskip("torch")
    result = bench("kernels", "attention", "--largest", "600000", "--runs", "1", "--against", "torch")
    assert result.returncode == 0, result.stderr
    assert "torch ms" in result.stdout and "times" in result.stdout


@pytest.mark.parametrize("direction", ["forward", "both"])
@pytest.mark.parametrize(
    "case",
    [
        Case("matmul", (3, 4, 5), "bf16"),
        Case("attention", (2, 2, 5, 4), variant="causal"),
        Case("attention", (2, 2, 5, 4), variant="weights"),
        Case("softmax", (3, 5)),
        Case("layer_norm", (3, 5)),
        Case("linear_cross_entropy", (6, 4, 5)),
        Case("gru", (2, 3, 4)),
        Case("lstm", (2, 3, 4)),
        Case("conv2d", (2, 6, 3, 4, 3)),
        Case("copy", (10,)),
    ],
    ids=str,
)
def test_every_kernel_can_be_called(case: Case, direction: Direction) -> None:
    from attnkit.benchmark import kernels_attnkit

    case = dataclasses.replace(case, direction=direction)
    assert Case.from_line(case.to_line()) == case
    call = getattr(kernels_attnkit, case.kernel)(case)
    call()
    call()  # gradients of the first are forgotten, so that a second one is the same work
    assert WORK[case.kernel](*case.shape).of(direction) > 0


def test_the_table_names_kernels_that_exist() -> None:
    from attnkit.benchmark import kernels_attnkit

    assert set(KERNELS) | {"copy"} == set(WORK)
    assert all(callable(getattr(kernels_attnkit, name)) for name in WORK)
    assert len(set(CASES)) == len(CASES)


def test_rates_count_what_the_formula_asks_for() -> None:
    product = KernelMeasurement(Case("matmul", (2, 3, 5)), {"attnkit": (1.0, 2.0, 4.0)}, 60.0)
    assert product.rate("attnkit") == 2 * 30 / 2 and product.share_of_roof("attnkit") == 0.5
    plain, causal = (KernelMeasurement(Case("attention", (1, 1, 3, 4), variant=v), {}, 1.0) for v in ("", "causal"))
    assert plain.amount().forward == 2 * 2 * 9 * 4 and causal.amount().forward == 2 * 2 * 6 * 4
    assert KernelMeasurement(Case("softmax", (4, 8)), {}, 1.0).amount().unit == "byte"
