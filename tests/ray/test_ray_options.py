"""`--ray` where it cannot be: one line, before anything is loaded or started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from command_line import attnkit_run, complaint

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
