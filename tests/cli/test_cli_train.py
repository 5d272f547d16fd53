"""`attnkit train` as its users run it: in a process of its own, with every wrong input, and stopped in the middle."""

from __future__ import annotations

import os
import pty
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from training_runs import COPY_LINES, TINY, copy_task, metrics

COMMAND = [sys.executable, "-m", "attnkit.cli.main"]


def attnkit_run(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


def complaint(status: int, *arguments: str | Path, **options: Any) -> str:
    """The last line on stderr of a run that must fail with `status` and leave stdout empty."""
    done = attnkit_run("train", *arguments, **options)
    assert done.returncode == status, done.stderr
    assert not done.stdout and "Traceback" not in done.stderr and "internal error" not in done.stderr
    return done.stderr.splitlines()[-1]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.mark.parametrize("decoder", ["attention", "ssru"])
def test_train_then_translate(decoder: str, tmp_path: Path) -> None:
    config = copy_task(tmp_path)
    done = attnkit_run("train", config, f"--set=model.decoder={decoder}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "runs/copy\n"  # the name of the file is that of the run
    assert "validation  step 150" in done.stderr and "ETA" in done.stderr
    translated = attnkit_run("translate", tmp_path / "runs" / "copy", input="".join(f"{x}\n" for x in COPY_LINES))
    assert translated.stdout.splitlines() == [line.upper() for line in COPY_LINES]


def test_list_presets() -> None:
    done = attnkit_run("train", "--list-presets")
    assert done.returncode == 0 and "en-it" in done.stdout.splitlines()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("task = ", "expected TOML"),
        (TINY.replace("max_steps", "max_stepps"), "training.max_stepps: unknown key (did you mean max_steps?)"),
        (TINY.replace("heads = 2", 'heads = "2"'), "model.heads: expected int, got str"),
        (TINY.replace('task = "translate"', ""), "task: expected a value, got nothing"),
        (TINY.replace('type = "transformer"', ""), "model.type: expected a value, got nothing"),
    ],
)
def test_a_bad_configuration(config: Path, content: str, message: str) -> None:
    config.write_text(content)
    line = complaint(2, config, "--out", config.parent / "run")
    assert line.startswith(f"attnkit train: {config}: ") and message in line
    assert not (config.parent / "run").exists()


def test_a_bad_override(config: Path) -> None:
    out = config.parent / "run"
    assert "training.seed: expected int" in complaint(2, config, "--out", out, "--set", "training.seed=one")
    assert "expected key=value" in complaint(2, config, "--out", out, "--set", "training.seed")
    assert not out.exists()


def test_no_such_configuration(tmp_path: Path) -> None:
    assert "expected a TOML file or a preset" in complaint(2, "no-such", cwd=tmp_path)
    for folder in (".", ""):
        assert "expected a TOML file or a preset, got a folder" in complaint(2, folder, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_missing_and_bad_data(config: Path) -> None:
    out = config.parent / "run"
    text = TINY.replace('builtin = "en-it"\nbuiltin_train = 120\nbuiltin_held_out = 12', 'train = ["a", "b"]')
    config.write_text(text.replace('final = "average"', 'final = "last"'))
    assert "a: No such file or directory" in complaint(1, config, "--out", out, cwd=config.parent)
    (config.parent / "a").write_bytes(b"good\nb\xffd\n")
    (config.parent / "b").write_text("gut\nschlecht\n")
    line = complaint(1, config, "--out", config.parent / "run2", cwd=config.parent)
    assert "a, line 2: expected UTF-8" in line


def test_an_existing_run_is_not_overwritten(config: Path) -> None:
    out = config.parent / "run"
    few = ("--set", "training.max_steps=2", "--set", "decoding.bleu=false")
    assert attnkit_run("train", config, "--out", out, *few).returncode == 0
    before = (out / "model.safetensors").read_bytes()
    assert "go on with it by --resume" in complaint(2, config, "--out", out, *few)
    line = complaint(2, config, "--out", out, "--resume", *few, "--set", "training.clip_norm=2.0")
    assert "training.clip_norm: expected 1.0" in line
    assert (out / "model.safetensors").read_bytes() == before
    assert attnkit_run("train", out, "--resume", "--set", "training.max_steps=4").returncode == 0
    assert metrics(out)[-1]["step"] == 4


def test_nothing_to_resume(config: Path) -> None:
    assert "expected a run to resume" in complaint(2, config, "--out", config.parent / "run", "--resume")


def test_numbers_that_run_away(config: Path) -> None:
    line = complaint(
        1, config, "--out", config.parent / "run", "--set", "training.learning_rate=1e30", "--set", "model.norm=pre"
    )
    assert line.startswith("attnkit: [train] step ") and "examples of the training data" in line


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_saves_and_says_how_to_go_on(config: Path, number: signal.Signals, status: int) -> None:
    out = config.parent / "run"
    limits = ("--set", "training.max_steps=0", "--set", "training.max_minutes=2", "--set", "decoding.bleu=false")
    process = subprocess.Popen([*COMMAND, "train", config, "--out", out, *limits], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step "):
            break
    process.send_signal(number)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == status, rest
    assert rest.splitlines()[-1].endswith(f"go on with: attnkit train {out} --resume")
    done = attnkit_run("train", out, "--resume", "--set", "training.max_minutes=0.001")
    assert done.returncode == 0 and "resumed at step" in done.stderr, done.stderr


def test_a_full_disk(config: Path) -> None:
    """A limit on the size of files stands for the disk. What was there stays readable, and the run goes on later."""
    out = config.parent / "run"
    few = ("--set", "training.max_steps=4", "--set", "decoding.bleu=false")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    line = complaint(1, config, "--out", out, *few, preexec_fn=limit)
    assert line.endswith("last.safetensors: File too large")
    assert not list(out.rglob("*.tmp"))
    assert attnkit_run("train", config, "--out", out, "--resume", *few).returncode == 0
    assert metrics(out)[-1]["step"] == 4


def test_a_live_bar_on_a_terminal(config: Path) -> None:
    leader, follower = pty.openpty()
    few = ("--set", "training.max_steps=30", "--set", "decoding.bleu=false")
    arguments = [*COMMAND, "train", str(config), "--out", str(config.parent / "run"), *few]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=follower, env=environment)
    os.close(follower)
    shown = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            block = os.read(leader, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not block:
            break
        shown += block
    os.close(leader)
    assert process.wait(60) == 0, shown
    assert b"validation" in shown and b"model: the mean of the weights" in shown
    assert b"\x1b[" in shown  # a bar is drawn again and again


def test_importing_attnkit_stays_light() -> None:
    code = "import sys, attnkit; assert not {'rich', 'sacrebleu', 'msgspec', 'attnkit.training'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
