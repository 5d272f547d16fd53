"""A run that stops, by a limit, a signal, a full disk or a kill -9, goes on to the same bytes as one that does not."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import training_runs
from safetensors import safe_open
from training_fake import LineTask
from training_runs import LAST, content, tiny

import attnkit
from attnkit.training import CheckpointError, ConfigError, Interrupted, Trainer, TrainingConfig, encode_config, train
from attnkit.training.checkpoint import CheckpointFolder
from attnkit.training.progress import SilentReporter


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("unbroken")
    train(tiny(folder), folder / "run", progress="none")
    return content(folder / "run")


def resume_and_compare(folder: Path, unbroken: dict[str, object]) -> None:
    attnkit.manual_seed(31)  # nothing of this process may matter
    train(tiny(folder), folder / "run", resume=True, progress="none")
    assert content(folder / "run") == unbroken


@pytest.mark.parametrize("steps", range(1, 12))
def test_stopped_after_any_step(tmp_path: Path, steps: int, unbroken: dict[str, object]) -> None:
    train(tiny(tmp_path, f"training.max_steps={steps}"), tmp_path / "run", progress="none")
    resume_and_compare(tmp_path, unbroken)


@pytest.mark.parametrize(
    "overrides",
    [
        ("training.accumulate=2",),
        ("training.final=best", "training.validate_unit=steps", "training.validate_every=2"),
        ("training.optimizer=adamw", "training.weight_decay=0.1", "training.precision=bf16"),
        ("training.optimizer=muon", "training.weight_decay=0.1"),
    ],
    ids=["accumulate", "best", "adamw bf16", "muon"],
)
def test_stopped_with_other_options(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    overrides = (*overrides, "decoding.bleu=false")
    train(tiny(tmp_path, *overrides), tmp_path / "whole", progress="none")
    train(tiny(tmp_path, *overrides, "training.max_steps=5"), tmp_path / "run", progress="none")
    train(tiny(tmp_path, *overrides), tmp_path / "run", resume=True, progress="none")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_a_finished_run_stays_as_it_is(tmp_path: Path, unbroken: dict[str, object]) -> None:
    train(tiny(tmp_path), tmp_path / "run", progress="none")
    resume_and_compare(tmp_path, unbroken)


def test_stopped_before_the_first_checkpoint(tmp_path: Path, unbroken: dict[str, object]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "training.toml").write_text(encode_config(tiny(tmp_path)))
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step":1,"loss":')
    resume_and_compare(tmp_path, unbroken)


# ----- Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    def settings() -> TrainingConfig:
        return TrainingConfig(max_steps=9, final="last", validate_every=2, log_every=1)

    def trainer(task: LineTask, name: str) -> Trainer:
        (tmp_path / name).mkdir(exist_ok=True)
        return Trainer(task, settings(), tmp_path / name, SilentReporter())

    def kill(call: int, loss: attnkit.Tensor) -> None:
        if call == 5:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    trainer(LineTask(losses=[1.0]), "whole").run()
    with pytest.raises(Interrupted, match=r"saved at step 5; go on with: attnkit train .*run --resume") as raised:
        trainer(LineTask(losses=[1.0], on_loss=kill), "run").run()
    assert raised.value.signal_number == number and signal.getsignal(number) == before
    again = trainer(LineTask(losses=[1.0]), "run")
    assert again.resume() == 5
    again.run()
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_a_signal_during_validation(tmp_path: Path) -> None:
    """The validation is given up, the step before it is saved, and the resumed run validates again."""

    class Stopped(LineTask):
        def validate(self, check: object, final: bool = False) -> dict[str, float]:
            os.kill(os.getpid(), signal.SIGINT)
            return super().validate(check, final)  # type: ignore[arg-type]

    def settings() -> TrainingConfig:
        return TrainingConfig(max_epochs=2, final="average", average_last=2)

    for name in ("whole", "run"):
        (tmp_path / name).mkdir()
    Trainer(LineTask(losses=[1.0]), settings(), tmp_path / "whole", SilentReporter()).run()
    with pytest.raises(Interrupted):
        Trainer(Stopped(losses=[1.0]), settings(), tmp_path / "run", SilentReporter()).run()
    again = Trainer(LineTask(losses=[1.0]), settings(), tmp_path / "run", SilentReporter())
    assert again.resume() == 3
    again.run()
    assert content(tmp_path / "run") == content(tmp_path / "whole")


def test_the_second_interrupt_aborts(tmp_path: Path) -> None:
    def impatient(call: int, loss: attnkit.Tensor) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="aborted"):
        Trainer(LineTask(on_loss=impatient), TrainingConfig(max_steps=9), tmp_path, SilentReporter()).run()
    assert not (tmp_path / LAST).exists()


# ----- kill -9

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from training_runs import tiny
from attnkit.training import train

function, moment, left = sys.argv[3], sys.argv[4], int(sys.argv[5])
original = getattr(os, function)

def deadly(*arguments, **options):
    global left
    left -= 1
    if left == 0 and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **options)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

folder = Path(sys.argv[2])
config = tiny(folder)
setattr(os, function, deadly)
train(config, folder / "run", progress="none")
"""


@pytest.mark.parametrize(
    ("function", "moment", "count"),
    [
        ("replace", "before", 1),  # training.toml: there is no run yet
        ("replace", "after", 2),  # the tokenizer
        ("replace", "before", 3),  # the first checkpoint
        ("replace", "after", 3),
        ("replace", "before", 5),
        ("replace", "after", 5),
        ("replace", "before", 8),
        ("replace", "before", 12),
        ("replace", "after", 13),
        ("fsync", "before", 9),
        ("fsync", "before", 16),
        ("unlink", "before", 1),
        ("unlink", "after", 1),
    ],
)
def test_kill_9_loses_nothing(
    tmp_path: Path, function: str, moment: str, count: int, unbroken: dict[str, object]
) -> None:
    arguments = [str(Path(training_runs.__file__).parent), str(tmp_path), function, moment, str(count)]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], timeout=120, stderr=subprocess.PIPE)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    if not (tmp_path / "run" / "training.toml").exists():
        train(tiny(tmp_path), tmp_path / "run", progress="none")
        assert content(tmp_path / "run") == unbroken
        return
    resume_and_compare(tmp_path, unbroken)


# ----- What cannot be resumed


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    train(tiny(tmp_path, "training.max_steps=6", "decoding.bleu=false"), tmp_path / "run", progress="none")
    return tmp_path


def resume(folder: Path, *overrides: str) -> None:
    train(tiny(folder, "decoding.bleu=false", *overrides), folder / "run", resume=True, progress="none")


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("training.learning_rate=0.5", "training.learning_rate: expected 0.01, with which the run"),
        ("model.heads=4", "model.heads: expected 2"),
        ("data.builtin_train=121", "data.builtin_train: expected 120"),
        ("model.attention_dropout=0.2", "model.attention_dropout: expected None"),
        ("training.final=last", "training.final: expected 'average'"),
    ],
)
def test_another_configuration_is_refused_by_key(stopped: Path, override: str, key: str) -> None:
    before = content(stopped / "run")
    with pytest.raises(ConfigError, match=key):
        resume(stopped, override)
    assert content(stopped / "run") == before


def test_limits_may_change(stopped: Path) -> None:
    resume(stopped, "training.max_steps=8", "training.patience=50", "training.max_epochs=100", "training.save_every=1")
    assert CheckpointFolder(stopped / "run" / "checkpoints").load()[0].step == 8


def test_the_end_of_a_cosine_may_not_change(tmp_path: Path) -> None:
    overrides = ("training.schedule=cosine", "decoding.bleu=false")
    train(tiny(tmp_path, *overrides, "training.max_steps=6"), tmp_path / "run", progress="none")
    with pytest.raises(ConfigError, match=r"training\.max_steps: expected 6"):
        train(tiny(tmp_path, *overrides), tmp_path / "run", resume=True, progress="none")


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a run to resume"):
        resume(tmp_path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("place", [0.0, 0.001, 0.02, 0.3, 0.7, 0.999])
def test_a_flipped_bit_is_noticed(stopped: Path, place: float) -> None:
    data = bytearray((stopped / "run" / LAST).read_bytes())
    data[int(place * len(data))] ^= 0x10
    (stopped / "run" / LAST).write_bytes(data)
    with pytest.raises(CheckpointError, match=r"last\.safetensors: (damaged|expected a) checkpoint"):
        resume(stopped)
    assert (stopped / "run" / LAST).read_bytes() == data


@pytest.mark.parametrize("size", [0, 4, 100, 5000, -1])
def test_a_cut_file_is_noticed(stopped: Path, size: int) -> None:
    data = (stopped / "run" / LAST).read_bytes()
    (stopped / "run" / LAST).write_bytes(data[:size])
    with pytest.raises(CheckpointError, match=r"last\.safetensors: damaged checkpoint"):
        resume(stopped)


def test_a_file_of_another_kind_is_noticed(stopped: Path) -> None:
    shutil.copy(stopped / "run" / "model.safetensors", stopped / "run" / LAST)
    with pytest.raises(CheckpointError, match="expected a checkpoint, got another kind"):
        resume(stopped)


def test_kept_weights_that_are_damaged_or_gone(stopped: Path) -> None:
    resume(stopped, "training.max_steps=8")
    kept = sorted((stopped / "run" / "checkpoints").glob("weights-*"))[0]
    kept.write_bytes(kept.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=rf"{kept.name}: damaged"):
        resume(stopped)
    kept.unlink()
    with pytest.raises(CheckpointError, match=rf"{kept.name}: expected the weights"):
        resume(stopped)


def test_a_checkpoint_of_another_model(stopped: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    options = ("decoding.bleu=false", "model.ffn=64")
    train(tiny(tmp_path, *options, "training.max_steps=2"), tmp_path / "other" / "run", progress="none")
    shutil.copy(tmp_path / "other" / "run" / LAST, stopped / "run" / LAST)
    with pytest.raises(CheckpointError, match="does not fit this run"):
        resume(stopped)


def test_data_that_has_changed(tmp_path: Path) -> None:
    from training_runs import copy_task

    from attnkit.training import read_config

    config = copy_task(tmp_path)
    few = ("training.max_steps=12", "decoding.bleu=false")
    train(read_config(config, few), tmp_path / "run", progress="none")
    for name in ("source", "target"):
        with open(tmp_path / name, "a") as file:
            file.write("a b\n" if name == "source" else "A B\n")
    with pytest.raises(CheckpointError, match=r"does not fit this run: .*sentences"):
        train(read_config(config, few), tmp_path / "run", resume=True, progress="none")


def test_a_checkpoint_is_plain_safetensors(stopped: Path) -> None:
    with safe_open(stopped / "run" / LAST, framework="numpy") as file:
        names = list(file.keys())
        state = json.loads(json.loads(file.metadata()["attnkit.checkpoint"])["state"])
    assert state["step"] == 6 and any(name.startswith("optimizer.moment1.") for name in names)
    assert {np.dtype(np.float32)} == {
        array.dtype for array in CheckpointFolder(stopped / "run" / "checkpoints").load()[1].values()
    }


# ----- What a killed run leaves, and what must not end one


def test_leftovers_of_a_run_that_was_killed_in_its_last_save_are_removed(
    tmp_path: Path, unbroken: dict[str, object]
) -> None:
    """Nothing is saved any more that would take their place."""
    train(tiny(tmp_path), tmp_path / "run", progress="none")
    left = [tmp_path / "run" / "checkpoints" / name for name in (".attnkit-0badcafe-0.tmp", "weights-9.safetensors")]
    for path in (*left, tmp_path / "run" / ".attnkit-0badcafe-0.tmp"):
        path.write_text("half")
    resume_and_compare(tmp_path, unbroken)
    assert not list((tmp_path / "run").rglob(".attnkit-*")) and not any(path.exists() for path in left)


def test_a_model_without_its_checkpoints_is_not_trained_over(stopped: Path) -> None:
    shutil.rmtree(stopped / "run" / "checkpoints")
    before = (stopped / "run" / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"expected checkpoints/ to go on from.*train anew by: attnkit train .*--out"):
        resume(stopped)
    assert (stopped / "run" / "model.safetensors").read_bytes() == before


def test_a_curve_that_cannot_be_drawn_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*paths: object) -> None:
        raise OSError("no font")

    monkeypatch.setattr("attnkit.explain.draw_learning_curve", broken)
    outcome = train(tiny(tmp_path, "decoding.bleu=false"), tmp_path / "run", progress="plain")
    assert outcome.step == 12 and (tmp_path / "run" / "model.safetensors").exists()
    assert capsys.readouterr().err.count("learning-curve.png: cannot be drawn (no font)") == 1


def test_nobody_need_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed stderr, and one that fails, as that of a terminal does that has gone."""

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    for name, stderr in (("none", None), ("gone", Gone())):
        monkeypatch.setattr(sys, "stderr", stderr)
        config = tiny(tmp_path, "decoding.bleu=false", "training.max_steps=2")
        assert train(config, tmp_path / name, progress="plain").step == 2


def test_the_end_of_pretraining_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "recurrent.toml"
    config.write_text(
        training_runs.FEW_PAIRS
        + '[model]\ntype = "recurrent"\nencoder_pretraining = "autoencoder"\npretraining_batches = 3\n'
        + "embedding_size = 8\nhidden_size = 8\nencoder_size = 8\n[training]\nmax_steps = 5\nbatch_tokens = 160\n"
    )
    train(training_runs.read_config(config, ("decoding.bleu=false",)), tmp_path / "run", progress="plain")
    said = capsys.readouterr().err
    assert "step 0: pretraining, whose loss is its own" in said and "step 3: pretraining is over" in said
