"""`--ray` where it cannot be: one line, before anything is loaded or started."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from command_line import attnkit_run, complaint

from attnkit.ray import session as sessions

MODEL = Path(__file__).parents[1] / "data" / "formats" / "1" / "models" / "translate"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("the cat sees a dog\n")
    return tmp_path / "a.txt"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ray", "auto"], "expected names, patterns or folders of files, got standard input"),
        (["--ray", "auto", "-i", "a.txt"], "expected -o DIR, a folder for the results, got standard output"),
        (["--workers", "2"], "--workers: expected --ray ADDRESS with it"),
        (["--part-size", "2"], "--part-size: expected --ray ADDRESS with it"),
        (["--ray", "auto", "-i", "a.txt", "-o", "d", "--alignments", "x"], "--alignments does not go with --ray"),
    ],
)
def test_what_does_not_go_together_is_bad_usage(arguments: list[str], message: str) -> None:
    assert message in complaint("translate", MODEL, *arguments, status=2)


def test_without_ray_a_line_says_how_to_get_it(text: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "ray.py").write_text("raise ModuleNotFoundError('no ray', name='ray')\n")
    said = complaint(
        "translate", MODEL, "--ray", "local", "-i", text, "-o", tmp_path / "out",
        env={**os.environ, "PYTHONPATH": os.fspath(hidden)},
    )  # fmt: skip
    assert said == "attnkit: [ray] expected the package ray; install it by: pip install 'attnkit[ray]'\n"
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_is_not_there_is_a_line(text: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    done = attnkit_run("translate", MODEL, "--ray", "127.0.0.1:9", "-i", text, "-o", tmp_path / "out")
    assert done.returncode == 1
    assert b"[ray] expected a cluster of Ray at 127.0.0.1:9, got none" in done.stderr
    assert b"Traceback" not in done.stderr


class _Busy:
    """In place of Ray: its server is too busy to start a process for a client so many times."""

    __file__ = os.__file__

    def __init__(self, times: int) -> None:
        self.times, self.asked = times, 0

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: object) -> None:
        self.asked += 1
        if self.asked <= self.times:
            raise ConnectionAbortedError("Initialization failure from server:\n")

    def shutdown(self) -> None:
        pass


@pytest.fixture(autouse=True)
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As they were, behind a session."""
    for module, name in ((threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, getattr(module, name))


def test_a_cluster_that_is_busy_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = _Busy(1)
    monkeypatch.setattr(sessions, "library", lambda: ray)
    with sessions.session("auto") as connected:
        assert connected is ray and ray.asked == 2


def test_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = _Busy(2)
    monkeypatch.setattr(sessions, "library", lambda: ray)
    with pytest.raises(RuntimeError, match="got none: Initialization failure from server"), sessions.session("auto"):
        pass
    assert ray.asked == 2
