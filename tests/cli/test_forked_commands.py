"""Commands that a server forks (tests/support/forked_commands.py) end as those that are started do."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from command_line import command
from forked_commands import forked
from kept_models import MODELS

TRANSLATOR = str(next(path for path in MODELS if path.name == "translate"))
TEXT = "il gatto vede\n\nè\n".encode()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--version",),
        ("translate", TRANSLATOR),
        ("translate", "nowhere"),
        ("inspect",),
        ("translate", ".", "-i", "here"),
    ],
)
def test_status_and_streams(arguments: tuple[str, ...], tmp_path: Path) -> None:
    started = subprocess.run(command(*arguments), input=TEXT, capture_output=True, timeout=60, cwd=tmp_path)
    done = forked(arguments, TEXT, str(tmp_path), 60)
    assert done is not None
    assert (done.returncode, done.stdout, done.stderr) == (started.returncode, started.stdout, started.stderr)


def test_more_than_a_pipe_holds_goes_in() -> None:
    done = forked(["translate", TRANSLATOR, "--max-length", "1"], b"%99s\n" % b"il" * 700, ".", 60)
    assert done is not None and done.returncode == 0 and done.stdout.count(b"\n") == 700


def test_one_that_does_not_end_is_killed_and_the_next_one_runs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "silent")
    with pytest.raises(subprocess.TimeoutExpired):
        forked(["translate", TRANSLATOR, "-i", "silent"], b"", str(tmp_path), 0.5)
    done = forked(["--version"], b"", ".", 60)
    assert done is not None and done.returncode == 0


def test_a_variable_that_is_read_later_comes_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_CLIENT_MODE", "0")  # as importing Ray leaves it
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    done = forked(["models", "path", "no-such"], b"", str(tmp_path), 60)
    started = subprocess.run(command("models", "path", "no-such"), capture_output=True, timeout=60, cwd=tmp_path)
    assert done is not None and (done.returncode, done.stderr) == (started.returncode, started.stderr)


def test_another_environment_is_left_to_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNKIT_ISA", "portable")
    assert forked(["--version"], b"", ".", 60) is None
