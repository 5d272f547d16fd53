"""Model directories as the tasks see them: what is written is what was written before, and is read once."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import attnkit
from attnkit.decoding.crew import Run, end, set_to_work
from attnkit.models import files
from attnkit.reading import read_file
from attnkit.tasks.shared.directory import ModelDirectory, save_directory

MODELS = Path(__file__).parent.parent / "data" / "formats" / "1" / "models"
NAMES = sorted(path.name for path in MODELS.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_a_directory_is_written_again_to_the_same_bytes(name: str, tmp_path: Path) -> None:
    directory = ModelDirectory.read(MODELS / name)
    save_directory(
        directory.load_model(),
        tmp_path,
        directory.task,
        reads=directory.reads,
        labels=directory.labels,
        html=directory.html,
        image=None if directory.image is None else directory.preprocessing(),
        tokenizers=None if directory.tokenizer is None else directory.tokenizers(),
        decoding=directory.decoding,
    )
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (MODELS / name / file.name).read_bytes(), file.name
    assert {"config.json", "model.safetensors"} <= {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_loading_parses_the_config_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def counted(path: Path) -> bytes:
        reads.append(path.name)
        return read_file(path)

    monkeypatch.setattr(files, "read_file", counted)
    attnkit.load(MODELS / name)
    assert reads == ["config.json"]


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
@pytest.mark.parametrize("name", NAMES)
def test_a_pipe_or_a_device_in_a_directory_is_refused_at_once(name: str, tmp_path: Path) -> None:
    for file in sorted(path.name for path in (MODELS / name).iterdir()):
        if file in ("metrics.jsonl", "training.toml", "shortlist.safetensors"):  # which loading does not read
            continue
        for kind in ("pipe", "device"):
            copy = Path(shutil.copytree(MODELS / name, tmp_path / f"{file}-{kind}"))
            (copy / file).unlink()
            if kind == "pipe":
                os.mkfifo(copy / file)
            else:
                (copy / file).symlink_to("/dev/zero")
            with within(10), pytest.raises((ValueError, FileNotFoundError), match=f"{file}: "):
                attnkit.load(copy)


def test_a_file_of_a_directory_has_a_bound(tmp_path: Path) -> None:
    for name, file in (("translate", "tokenizer.spm"), ("caption", "vocab.txt"), ("marian", "vocab.json")):
        copy = Path(shutil.copytree(MODELS / name, tmp_path / name))
        os.truncate(copy / file, 10**12)  # a hole: it takes no room on the disk
        with pytest.raises(ValueError, match=f"{file}: expected a file of at most 33,554,432 bytes, got a larger one"):
            attnkit.load(copy)


def changed(name: str, folder: Path, **keys: Any) -> Path:
    copy = Path(shutil.copytree(MODELS / name, folder / "model"))
    table = json.loads((copy / "config.json").read_text("utf-8")) | keys
    (copy / "config.json").write_text(json.dumps(table), "utf-8")
    return copy


def test_keys_that_nobody_knows_are_left_alone(tmp_path: Path) -> None:
    directory = ModelDirectory.read(changed("caption", tmp_path, author="me", classes="none"))
    assert directory.task == "caption" and directory.described.sizes == {"vocab_size": 8}
    assert attnkit.load(directory.folder).caption([]) == []


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("translate", {"task": "sing"}, "expected the task 'translate' or 'classify' or"),
        ("translate", {"task": ["translate"]}, "expected the task 'translate' or"),
        ("translate", {"reads": "images"}, "expected 'text' under reads, got 'images'"),
        ("translate", {"tokenizer": [1]}, "expected a table under tokenizer, got [1]"),
        ("translate", {"decoding": {"beams": 3}}, "decoding: Object contains unknown field `beams`"),
        ("translate", {"decoding": None}, "decoding: Expected `object`, got `null`"),
        ("classify-text", {"labels": None}, "expected a list of strings under labels, got None"),
        ("classify-text", {"labels": ["a", 1]}, "expected a list of strings under labels, got ['a', 1]"),
        ("classify-text", {"html": "yes"}, "expected true or false under html, got 'yes'"),
        ("classify-images", {"image": 8}, "expected how images are prepared: Expected `object`, got `int`"),
        ("classify-images", {"task": "caption", "tokenizer": {}}, "[tokenizer] config.json: "),
        (
            "language-model",
            {"task": "translate"},
            "a model with source_vocab_size for the task 'translate'",
        ),
    ],
)
def test_what_is_wrong_is_named(name: str, keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = changed(name, tmp_path, **keys)
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        attnkit.load(folder)
    assert "config.json" in str(refused.value)


# ----- Tokenizers and weights, at once or one after the other


@pytest.fixture(params=[1, 2], ids=["one-thread", "two-threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = attnkit.get_num_threads()
    attnkit.set_num_threads(request.param)
    yield request.param
    attnkit.set_num_threads(before)


def test_a_translator_is_the_same_however_many_threads_load_it(threads: int) -> None:
    expected = ModelDirectory.read(MODELS / "translate")
    translator: Any = attnkit.load(MODELS / "translate")
    assert translator.source_tokenizer.encode("a cat") == expected.tokenizers().source.encode("a cat")
    assert translator.model.state_dict().keys() == expected.load_model().state_dict().keys()


@pytest.mark.parametrize(("file", "what"), [("tokenizer.spm", "SentencePiece"), ("model.safetensors", "safetensors")])
def test_a_broken_file_is_an_error_however_many_threads_load_it(
    threads: int, file: str, what: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(MODELS / "translate", tmp_path / "model")
    (folder / file).write_bytes(b"broken")
    with pytest.raises(ValueError, match=f"{re.escape(str(folder / file))}.*{what}"):
        attnkit.load(folder)


def test_loading_does_not_wait_for_workers_that_are_busy() -> None:
    done, started = threading.Event(), threading.Barrier(3)

    def job() -> None:
        started.wait(20)
        done.wait(20)

    before = attnkit.get_num_threads()
    attnkit.set_num_threads(2)
    run = Run([job, job])
    try:
        set_to_work(run, 2)
        started.wait(20)
        attnkit.load(MODELS / "translate")
        assert not done.is_set()
    finally:
        done.set()
        end(run)
        attnkit.set_num_threads(before)
