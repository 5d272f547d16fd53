"""Training through the public API, and the trainer's own rules on a task whose arithmetic can be followed."""

from __future__ import annotations

import fcntl
import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_fake import LineTask
from training_runs import COPY_LINES, copy_task, metrics, tiny

import attnkit
from attnkit.models import load_weights
from attnkit.optim.schedules import constant, cosine, inverse_sqrt
from attnkit.training import (
    NonFiniteError,
    RunExistsError,
    Trainer,
    TrainingConfig,
    encode_config,
    read_config,
    train,
    train_once,
)
from attnkit.training.checkpoint import CheckpointFolder
from attnkit.training.progress import SilentReporter


def run_line(task: LineTask, folder: Path, **settings: Any) -> Trainer:
    """Trains the straight line; steps are validated every 2 unless `settings` say otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, Any] = {"validate_every": 2, "validate_unit": "steps", "warmup_steps": 0, "clip_norm": 0.0}
    trainer = Trainer(task, TrainingConfig(**(chosen | settings)), folder, SilentReporter())
    trainer.run()
    return trainer


def weights_after(folder: Path) -> np.ndarray:
    return load_weights(folder / "model.safetensors")["weight"]


# ----- A whole run


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    attnkit.manual_seed(7)  # the run must not depend on what came before it
    train(read_config(copy_task(folder)), folder / "model", progress="none")
    return folder / "model"


def test_a_small_task_is_learnt(learnt: Path) -> None:
    results = attnkit.load(learnt).translate(COPY_LINES, beam=2)
    assert [result.text for result in results] == [line.upper() for line in COPY_LINES]
    assert metrics(learnt)[-1]["final_bleu"] == pytest.approx(100.0)


def test_a_small_task_is_learnt_with_an_ssru(tmp_path: Path) -> None:
    train(read_config(copy_task(tmp_path), ["model.decoder=ssru"]), tmp_path / "model", progress="none")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["model"]["decoder"] == "ssru"
    for precision in ("fp32", "bf16", "int8"):
        model = attnkit.load(tmp_path / "model", precision=precision)
        for beam in (1, 4):
            results = model.translate(COPY_LINES, beam=beam, attention=True)
            assert [result.text for result in results] == [line.upper() for line in COPY_LINES], (precision, beam)
            assert results[0].attention.shape == (3, 4)


def test_the_folder_is_a_model_directory(learnt: Path) -> None:
    names = {path.name for path in learnt.iterdir()}
    assert names == {
        "checkpoints", "config.json", "learning-curve.png", "metrics.jsonl", "model.safetensors", "training.toml",
        "vocab.txt",
    }  # fmt: skip
    config = json.loads((learnt / "config.json").read_text())
    assert config["task"] == "translate" and config["tokenizer"]["kind"] == "word"
    assert (learnt / "learning-curve.png").read_bytes().startswith(b"\x89PNG")
    assert read_config(learnt / "training.toml").training.max_steps == 150


def test_metrics_say_how_it_went(learnt: Path) -> None:
    rows = [json.loads(line) for line in (learnt / "metrics.jsonl").read_text().splitlines()]
    training = [row for row in rows if "loss" in row]
    validation = [row for row in rows if "validation_loss" in row]
    assert [row["step"] for row in training] == [50, 100, 150]
    assert [row["step"] for row in validation] == [50, 100, 150]
    assert training[0]["loss"] > training[-1]["loss"] and validation[0]["validation_loss"] > 0
    assert training[-1]["learning_rate"] == pytest.approx(0.0, abs=1e-12)
    assert all(row["tokens_per_second"] > 0 and row["gradient_norm"] > 0 for row in training)
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert rows[-1]["final"] == "best" and rows[-1]["final_bleu_signature"].startswith("nrefs:1")


def test_a_used_folder_is_refused(learnt: Path, tmp_path: Path) -> None:
    config = read_config(learnt / "training.toml")
    with pytest.raises(RunExistsError, match="--resume"):
        train(config, learnt, progress="none")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunExistsError, match="one with files"):
        train(config, tmp_path, progress="none")
    with pytest.raises(RunExistsError, match="got a file"):
        train(config, tmp_path / "notes.txt", progress="none")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    descriptor = os.open(tmp_path / "run", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(RunExistsError, match="another process"):
            train(tiny(tmp_path), tmp_path / "run", progress="none")
    finally:
        os.close(descriptor)


def test_a_run_that_failed_at_its_start_may_begin_anew(tmp_path: Path) -> None:
    """A tokenizer is learnt and written before the validation data turns out to be missing."""
    path, run = copy_task(tmp_path), tmp_path / "run"
    few = ["training.max_steps=2", "training.schedule=constant", "decoding.bleu=false"]
    with pytest.raises(FileNotFoundError):
        train(read_config(path, [*few, 'data.validation=["nowhere", "nowhere"]']), run, progress="none")
    assert (run / "vocab.txt").exists()
    (run / "notes.txt").write_text("mine")
    with pytest.raises(RunExistsError):
        train(read_config(path, few), run, progress="none")
    (run / "notes.txt").unlink()
    assert (
        train(
            read_config(path, [*few, "tokenizer.joint=false", "model.tie_embeddings=none"]), run, progress="none"
        ).step
        == 2
    )
    assert (run / "source.vocab.txt").exists() and not (run / "vocab.txt").exists()


def test_a_configuration_that_somebody_wrote_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    file = copy_task(tmp_path).rename(tmp_path / "run" / "training.toml")
    before = file.read_text()
    with pytest.raises(RunExistsError, match="with a run in it"):
        train(read_config(file), tmp_path / "run", progress="none")
    assert file.read_text() == before


def test_training_once_leaves_the_runs_of_others_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    own, other = (tiny(tmp_path, f"training.max_steps={steps}", "decoding.bleu=false") for steps in (1, 2))
    assert train_once(own, folder, progress="none") and not train_once(own, folder, progress="none")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(RunExistsError, match="got another; choose a new folder"):
        train_once(other, folder, progress="none")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(RunExistsError, match="another process"):
            train_once(other, folder, fresh=True, progress="none")
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    finally:
        os.close(descriptor)
    assert train_once(other, folder, fresh=True, progress="none") and metrics(folder)[-1]["step"] == 2


def model_bytes(folder: Path, name: str, *overrides: str) -> bytes:
    train(tiny(folder, "training.max_steps=6", "decoding.bleu=false", *overrides), folder / name, progress="none")
    return (folder / name / "model.safetensors").read_bytes()


def test_the_seed_decides(tmp_path: Path) -> None:
    first = model_bytes(tmp_path, "first")
    attnkit.manual_seed(99)
    assert model_bytes(tmp_path, "again") == first
    assert model_bytes(tmp_path, "other", "training.seed=2") != first


def test_threads_change_nothing(tmp_path: Path) -> None:
    before = attnkit.get_num_threads()
    try:
        attnkit.set_num_threads(1)
        one = model_bytes(tmp_path, "one")
        attnkit.set_num_threads(2)
        assert model_bytes(tmp_path, "two") == one
    finally:
        attnkit.set_num_threads(before)


def test_every_option_changes_the_result(tmp_path: Path) -> None:
    options = [
        "training.precision=bf16", "training.batch_tokens=100", "training.accumulate=2", "training.learning_rate=0.02",
        "training.betas=[0.8,0.98]", "training.betas=[0.9,0.9]", "training.eps=0.1", "training.weight_decay=0.1",
        "training.clip_norm=0.01", "training.label_smoothing=0.3", "training.schedule=constant",
        "training.warmup_steps=2", "training.min_learning_rate=0.009", "training.max_steps=5", "training.final=last",
        "training.average_last=2", "training.validate_every=3", "tokenizer.lowercase=true", "model.dropout=0.3",
    ]  # fmt: skip
    unchanged = {"tokenizer.lowercase=true"}  # the corpus is in lower case: the text is the same, and so is the model
    steps = ("training.validate_unit=steps", "training.validate_every=2")
    base = model_bytes(tmp_path, "base", *steps)
    for number, option in enumerate(options):
        assert (model_bytes(tmp_path, str(number), *steps, option) == base) == (option in unchanged), option
    coupled = model_bytes(tmp_path, "coupled", "training.weight_decay=0.1")
    adamw = model_bytes(tmp_path, "adamw", "training.weight_decay=0.1", "training.optimizer=adamw")
    muon = model_bytes(tmp_path, "muon", "training.weight_decay=0.1", "training.optimizer=muon")
    assert len({coupled, adamw, muon}) == 3


def test_it_says_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny(tmp_path, "training.max_steps=2", "data.max_length=4"), tmp_path / "run", progress="plain")
    said = capsys.readouterr()
    assert said.out == ""
    assert "too long)" in said.err and "step 2  epoch 2  loss" in said.err and "tokens/s" in said.err
    assert "BLEU as nrefs:1" in said.err and "test_bleu" in said.err


LONG = ["model.max_length=10", "data.max_length=9", "training.max_steps=2", "training.schedule=constant"]
RECURRENT = 'type = "recurrent"\nscore = "location"\nembedding_size = 16\nhidden_size = 16\n'


@pytest.mark.parametrize("kind", ["learned", "location"])
def test_pairs_that_the_model_cannot_read(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are measured as far as that goes, and do not end the run."""
    path = copy_task(tmp_path)
    for name, line in {"source": "a b c", "target": "A B C"}.items():
        (tmp_path / f"long.{name}").write_text(f"{line}\n{' '.join([line] * 4)}\n")
    if kind == "location":
        head, rest = path.read_text().split("[model]\n")
        path.write_text(f"{head}[model]\n{RECURRENT}[training]\n{rest.split('[training]')[1]}")
    options = [*LONG, *(["model.positions=learned"] if kind == "learned" else [])]
    options.append(f'data.test=["{tmp_path}/long.source", "{tmp_path}/long.target"]')
    outcome = train(read_config(path, options), tmp_path / "run", progress="plain")
    assert "test data: too long for the model, which reads 9 tokens: 1;" in capsys.readouterr().err
    assert outcome.figures["test_loss"] > 0 and outcome.figures["test_bleu"] >= 0
    (tmp_path / "long.source").write_text(f"{'a ' * 12}\n" * 2)
    with pytest.raises(ValueError, match=r"of at most 9 tokens, .* in data\.test, got none"):
        train(read_config(path, options), tmp_path / "other", progress="none")


def test_the_model_is_saved_before_it_is_tested(tmp_path: Path) -> None:
    class Broken(LineTask):
        def test(self, check: Callable[[], None]) -> dict[str, Any]:
            raise ValueError("no test today")

    with pytest.raises(ValueError, match="no test today"):
        run_line(Broken(), tmp_path, max_steps=2, final="last")
    assert weights_after(tmp_path).any()


def test_data_with_nothing_in_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("\n\n")
    files = f'["{tmp_path}/a", "{tmp_path}/b"]'
    (tmp_path / "run.toml").write_text(
        f'task = "translate"\n[data]\ntrain = {files}\n[model]\ntype = "transformer"\n'
        '[training]\nmax_steps = 1\nfinal = "last"\n'
    )
    with pytest.raises(ValueError, match=r"expected sentence pairs in data\.train, got none"):
        train(read_config(tmp_path / "run.toml"), tmp_path / "run", progress="none")


def test_without_validation_data(tmp_path: Path) -> None:
    path = copy_task(tmp_path)
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("validation")))
    config = read_config(path, ["training.max_steps=3", "training.schedule=constant", "training.final=last"])
    outcome = train(config, tmp_path / "m", progress="none")
    assert dict(outcome.figures) == {} and outcome.step == 3
    assert attnkit.load(tmp_path / "m").translate(["a b"])


def test_a_run_in_a_thread_of_its_own(tmp_path: Path) -> None:
    outcomes = []
    config = tiny(tmp_path, "training.max_steps=2", "decoding.bleu=false")
    worker = threading.Thread(target=lambda: outcomes.append(train(config, tmp_path / "run", progress="none")))
    worker.start()
    worker.join()
    assert [outcome.step for outcome in outcomes] == [2]


def test_training_toml_is_the_whole_configuration(tmp_path: Path) -> None:
    config = tiny(tmp_path, "training.max_steps=1", "decoding.bleu=false")
    train(config, tmp_path / "run", progress="none")
    assert (tmp_path / "run" / "training.toml").read_text() == encode_config(config)


# ----- The trainer's rules


def test_accumulated_batches_weigh_by_their_tokens(tmp_path: Path) -> None:
    parts, whole = LineTask(sizes=(1, 5)), LineTask(sizes=(6,))
    run_line(parts, tmp_path / "parts", max_steps=5, accumulate=2, final="last")
    run_line(whole, tmp_path / "whole", max_steps=5, final="last")
    assert parts.calls == 10 and whole.calls == 5
    np.testing.assert_allclose(weights_after(tmp_path / "parts"), weights_after(tmp_path / "whole"), rtol=2e-6)


def test_a_step_does_not_cross_the_end_of_an_epoch(tmp_path: Path) -> None:
    task = LineTask(sizes=(4, 4, 4))
    run_line(task, tmp_path, max_epochs=2, accumulate=2, final="last", log_every=1)
    rows = [row for row in metrics(tmp_path) if "loss" in row]
    assert [(row["step"], row["epoch"], row["tokens"]) for row in rows] == [
        (1, 1, 8),
        (2, 1, 12),
        (3, 2, 20),
        (4, 2, 24),
    ]


def test_best_weights_and_patience(tmp_path: Path) -> None:
    task = LineTask(losses=[3.0, 2.0, 2.5, 2.0, 9.0])
    run_line(task, tmp_path, patience=2)
    assert [row["step"] for row in metrics(tmp_path) if "validation_loss" in row] == [2, 4, 6, 8]  # equal is not better
    kept = CheckpointFolder(tmp_path / "checkpoints")
    np.testing.assert_array_equal(weights_after(tmp_path), kept.load_weights(4)["weight"])
    assert metrics(tmp_path)[-1]["final_steps"] == [4]
    assert not (tmp_path / "checkpoints" / "weights-2.safetensors").exists()


@pytest.mark.parametrize(("usual", "measured"), [(False, 5), (True, 4)])
def test_weights_that_a_validation_has_measured(tmp_path: Path, usual: bool, measured: int) -> None:
    """They are measured again only where the last validation is another one."""
    task = LineTask(losses=[3.0, 2.0, 2.5, 2.0, 9.0])
    task.final_is_usual = usual  # type: ignore[attr-defined]
    run_line(task, tmp_path, patience=2)
    assert task.validations == measured
    assert metrics(tmp_path)[-1]["final_validation_loss"] == (2.0 if usual else 9.0)


def test_last_weights(tmp_path: Path) -> None:
    run_line(LineTask(losses=[1.0, 2.0]), tmp_path, max_steps=4, final="last")
    _, weights, _ = CheckpointFolder(tmp_path / "checkpoints").load()
    np.testing.assert_array_equal(weights_after(tmp_path), weights["weight"])


def test_the_average_is_that_of_the_last_validations(tmp_path: Path) -> None:
    run_line(LineTask(losses=[1.0]), tmp_path, max_steps=8, final="average", average_last=3)
    kept = CheckpointFolder(tmp_path / "checkpoints")
    names = sorted(path.name for path in kept.folder.iterdir())
    assert names == ["last.safetensors", *(f"weights-{step}.safetensors" for step in (2, 4, 6, 8))]  # 2: the best
    mean = np.mean([kept.load_weights(step)["weight"].astype(np.float64) for step in (4, 6, 8)], axis=0)
    np.testing.assert_allclose(weights_after(tmp_path), mean, rtol=1e-7)


def test_the_average_takes_in_weights_after_the_last_validation(tmp_path: Path) -> None:
    run_line(LineTask(losses=[1.0]), tmp_path, max_steps=7, final="average", average_last=2)
    assert metrics(tmp_path)[-1]["final_steps"] == [6, 7]


def test_validation_by_epochs(tmp_path: Path) -> None:
    run_line(LineTask(losses=[1.0]), tmp_path, max_epochs=4, validate_unit="epochs", validate_every=2)
    assert [(row["step"], row["epoch"]) for row in metrics(tmp_path) if "validation_loss" in row] == [(6, 2), (12, 4)]


def test_a_limit_of_time(tmp_path: Path) -> None:
    task = LineTask()
    run_line(task, tmp_path, max_minutes=1e-9, final="last")
    assert task.calls <= 1


def test_clipping_limits_the_gradient(tmp_path: Path) -> None:
    """With Adam a scale hardly shows, so that clipping is seen in eps, which it makes weigh more."""
    run_line(LineTask(), tmp_path / "free", max_steps=1, eps=1.0, final="last", learning_rate=1.0)
    run_line(LineTask(), tmp_path / "clipped", max_steps=1, eps=1.0, final="last", learning_rate=1.0, clip_norm=1e-3)
    start = LineTask().model.weight.numpy()
    free = np.abs(weights_after(tmp_path / "free") - start).sum()
    clipped = np.abs(weights_after(tmp_path / "clipped") - start).sum()
    assert 0 < clipped < 0.01 * free


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite(tmp_path: Path, value: float) -> None:
    def poison(call: int, loss: attnkit.Tensor) -> attnkit.Tensor | None:
        return loss * value if call == 6 else None

    with pytest.raises(NonFiniteError) as raised:
        run_line(LineTask(on_loss=poison), tmp_path, max_steps=20, final="average")
    message = str(raised.value)
    assert f"step 6: the loss is {value}" in message
    assert "8, 9, 10, 11" in message and "all parameters are finite" in message
    assert "the checkpoint of step 4 stays" in message
    assert CheckpointFolder(tmp_path / "checkpoints").load()[0].step == 4


def test_a_gradient_that_is_not_finite(tmp_path: Path) -> None:
    class Poison(attnkit.Function):
        """The identity, with a gradient that is NaN."""

        @staticmethod
        def forward(ctx: Any, x: attnkit.Tensor) -> attnkit.Tensor:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, dy: attnkit.Tensor) -> attnkit.Tensor:
            return dy * math.nan

    with pytest.raises(NonFiniteError) as raised:
        run_line(LineTask(on_loss=lambda call, loss: Poison.apply(loss) if call == 3 else None), tmp_path, max_steps=9)
    assert "step 3: the norm of the gradient is nan" in str(raised.value)
    assert "the first gradient that is not is that of weight" in str(raised.value)


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    task = LineTask()
    task.model.bias.copy_(np.full(task.model.bias.shape, math.inf, np.float32))
    with pytest.raises(NonFiniteError, match="the first parameter that is not finite is bias; nothing is saved yet"):
        run_line(task, tmp_path, max_steps=9)


# ----- Schedules


def test_inverse_square_root() -> None:
    schedule = inverse_sqrt(0.5, 100, 0.01)
    assert schedule(1) == pytest.approx(0.005) and schedule(50) == pytest.approx(0.25)
    assert schedule(100) == 0.5 and schedule(400) == pytest.approx(0.25)
    assert schedule(10**9) == 0.01
    assert inverse_sqrt(0.5)(4) == pytest.approx(0.25)


def test_cosine() -> None:
    schedule = cosine(1.0, 110, 10, 0.2)
    assert schedule(5) == 0.5 and schedule(10) == 1.0
    assert schedule(60) == pytest.approx(0.6) and schedule(110) == pytest.approx(0.2) and schedule(999) == 0.2


def test_constant() -> None:
    assert [constant(2.0, 4)(step) for step in (1, 2, 4, 9)] == [0.5, 1.0, 2.0, 2.0]
    assert constant(2.0)(1) == 2.0


@pytest.mark.parametrize(
    "make",
    [lambda: inverse_sqrt(-1.0), lambda: constant(1.0, -1), lambda: cosine(1.0, 5, 5), lambda: cosine(1.0, 9, 1, 2.0)],
)
def test_a_schedule_that_makes_no_sense(make: Any) -> None:
    with pytest.raises(ValueError, match=r"^\[(inverse_sqrt|constant|cosine)\] expected"):
        make()
