"""What others wrote into labels, vocabularies and names does not steer the terminal, and stays as it is in files."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import attnkit_run, command
from pictures import gradient

MODELS = Path(__file__).parent.parent / "data" / "formats" / "1" / "models"
EVIL = "\x1b]0;PWNED\x07\x1b[2J\x9b31m\x08\u202e"


def seen(*arguments: str | Path, text: str = "", status: int = 0) -> str:
    """What a terminal gets of a run: stdout and stderr."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "LINES": "20", "TERM": "xterm-256color"}
    with subprocess.Popen(
        command(*arguments), stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        written = b""
        try:
            while part := os.read(ours, 4096):
                written += part
        except OSError:  # how the end of the other side shows on Linux
            pass
        os.close(ours)
        assert process.wait(60) == status, written.decode()
    return written.decode()


def check(shown: str, traces: str = "PWNED") -> None:
    """That it is there, and harmless."""
    assert traces in shown
    for code in ("\x1b]0;", "\x1b[2J", "\x9b", "\x08", "\u202e", "\x07"):
        assert code not in shown, repr(shown)


def changed(name: str, folder: Path, **keys: object) -> Path:
    copy = Path(shutil.copytree(MODELS / name, folder / name))
    table = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps(table | keys), "utf-8")
    return copy


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    labels = json.loads((MODELS / "classify-text" / "config.json").read_text("utf-8"))["labels"]
    return changed("classify-text", tmp_path, labels=[f"{EVIL}{label}" for label in labels])


def test_labels(classifier: Path) -> None:
    text = "the good film\n"
    for options in ((), ("--jsonl",), ("--no-highlight",), ("-k", "2")):
        check(seen("classify", classifier, *options, text=text))
    check(seen("inspect", classifier))
    check(seen("inspect", classifier, "--json"))
    piped = attnkit_run("classify", classifier, text=text).stdout.decode()
    assert EVIL in piped  # data, to the byte


def test_a_vocabulary(tmp_path: Path) -> None:
    model = changed("translate-recurrent", tmp_path)
    file = model / "target.vocab.txt"
    tokens = file.read_text("utf-8").removesuffix("\n").split("\n")
    file.write_text("".join(f"{token}\n" if i < 4 else f"{EVIL}{i}\n" for i, token in enumerate(tokens)), "utf-8")
    check(seen("translate", model, "--max-length", "4", "--min-length", "2", text="the cat\n"))
    done = attnkit_run("translate", model, "--max-length", "4", "--min-length", "2", text="the cat\n")
    assert EVIL in done.stdout.decode()


def test_names_of_files(tmp_path: Path) -> None:
    name = tmp_path / f"a{EVIL}.png"
    gradient().save(name)
    (tmp_path / f"b{EVIL}.png").write_bytes(b"none")
    check(seen("classify", MODELS / "classify-images", tmp_path, status=1))
    check(seen("caption", MODELS / "caption", name, "--attention", tmp_path / f"{EVIL}.json"))
    check(seen("translate", tmp_path / EVIL, status=1))
    assert EVIL in attnkit_run("classify", MODELS / "classify-images", name).stdout.decode()


def test_labels_of_a_training(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"good film {i}", "label": f"{EVIL}{i % 2}"}) + "\n" for i in range(20)]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    (tmp_path / "a.toml").write_text(
        f"""
task = "classify"
[data]
train = "{tmp_path}/a.jsonl"
validation_share = 0.3
[tokenizer]
kind = "wordpunct"
[model]
type = "han"
embedding = 4
word_hidden = 4
sentence_hidden = 4
[training]
max_steps = 2
warmup_steps = 1
"""
    )
    check(seen("train", tmp_path / "a.toml", "--out", tmp_path / "run"))
    done = attnkit_run("train", tmp_path / "a.toml", "--out", tmp_path / "other")
    check(done.stderr.decode())


def test_a_line_on_stderr_has_a_bound(tmp_path: Path) -> None:
    done = attnkit_run("translate", MODELS / "translate", "--to", "x" * 100_000, text="a\n")
    assert done.returncode == 2 and len(done.stderr) < 2100
