"""Models by name as people use them: `models`, `pull`, and a name for MODEL, in processes that are killed too."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import attnkit_run, command, complaint, output
from model_server import Answer, ModelServer, model_server, publish_registry, publish_student

MODEL = "/models/en-it/run_0/exported/model.enit.intgemm.alphas.bin.gz"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("ATTNKIT_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "cache" / "attnkit"


@pytest.fixture
def server(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A registry with en-it, and a larger model of the pair that Firefox does not ship."""
    with model_server() as found:
        monkeypatch.setenv("ATTNKIT_REGISTRY", found.url)
        larger: dict[str, Any] = {"architecture": "base", "releaseStatus": None, "metrics": {}}
        publish_registry(
            found,
            publish_student(found, tmp_path / "published"),
            publish_student(found, tmp_path / "larger", seed=1, **larger),
        )
        yield found


def halves(cache: Path) -> list[Path]:
    return [path for path in (cache / "models").rglob("*") if path.name.startswith(".attnkit")]


def test_a_name_is_a_model_of_every_command(server: ModelServer, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("the dog\nthe cat\n")
    first = attnkit_run("translate", "en-it", text="the dog\n\n")
    assert first.returncode == 0 and first.stdout.count(b"\n") == 2
    assert b"licence MPL-2.0" in first.stderr and b"Release" in first.stderr
    folder = output("models", "path", "en-it").strip()
    assert output("translate", "--offline", "en-it", text="the dog\n\n").encode() == first.stdout
    assert output("translate", folder, text="the dog\n\n").encode() == first.stdout
    assert json.loads(output("inspect", "en-it", "--json"))["task"] == "translate"
    assert "BLEU" in output("evaluate", "en-it", "--source", text, "--reference", text)
    assert (
        "pairs of tokens"
        in attnkit_run(
            "shortlist", "en-it", "--source", text, "--target", text, "-o", tmp_path / "s.safetensors"
        ).stderr.decode()
    )
    assert output("translate", "en-it", "--shortlist", "auto", text="the dog\n")
    assert "expected a model of the task 'classify'" in complaint("classify", "en-it", text)
    assert len(server.paths("model.enit")) == 1


def test_a_folder_of_that_name_comes_first(
    server: ModelServer, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "en-it").mkdir()
    assert "not a model directory" in complaint("translate", "en-it")
    assert server.asked == [] and not cache.exists()


def test_pull_prints_the_folder_and_brings_other_architectures(server: ModelServer) -> None:
    default = output("pull", "en-it").strip()
    assert (Path(default) / "config.json").is_file()
    other = output("pull", "en-it", "--revision", "base").strip()
    assert other != default and output("pull", "en-it@base").strip() == other
    assert output("models", "path", "en-it@base").strip() == other
    assert output("translate", "en-it", "--revision", "base", "--offline", text="a\n") == (
        output("translate", other, text="a\n")
    )
    server.always["/db/models.json"] = Answer(503, Retry_After="9999")
    again = attnkit_run("pull", "en-it")
    assert again.stdout.decode().strip() == default and b"503" in again.stderr and b"said last" in again.stderr
    del server.always["/db/models.json"]
    assert "expected one revision" in complaint("pull", "en-it@base", "--revision", "tiny")
    assert "expected a name" in complaint("pull", "./en-it")
    assert "it has en-it@tiny, en-it@base" in complaint("pull", "en-it@huge")
    assert "near it: it-en" not in complaint("pull", "en-itx")
    assert "near it: en-it" in complaint("pull", "en-is")


def test_the_list(server: ModelServer) -> None:
    lines = output("models").splitlines()
    assert [line.split() for line in lines] == [
        ["name", "kind", "status", "MB", "COMET", "BLEU", "licence", "here"],
        ["en-it", "mozilla", "tiny", "Release", "0", "87.2", "38.8", "MPL-2.0"],
        ["en-it@base", "mozilla", "base", "0", "MPL-2.0"],
    ]
    assert output("models", "--here").splitlines()[1:] == []
    folder = output("pull", "en-it").strip()
    rows = json.loads(output("models", "--json"))
    assert [json.loads(line) for line in output("models", "--jsonl").splitlines()] == rows
    assert [row["name"] for row in rows] == ["en-it", "en-it@base"] and [row["here"] for row in rows] == [True, False]
    assert rows[0]["path"] == folder and rows[0]["quality"] == {"bleu": 38.8, "comet22": 0.8719}
    for narrow in (["--here"], ["--offline"]):
        server.asked.clear()
        assert json.loads(output("models", "--json", *narrow)) == rows[:1]
        assert server.asked == []


def test_the_list_when_nobody_answers(server: ModelServer, cache: Path) -> None:
    listed = output("models")
    server.always["/db/models.json"] = Answer(503, Retry_After="9999")
    again = attnkit_run("models")
    assert again.returncode == 0 and again.stdout.decode() == listed
    assert b"cannot be asked" in again.stderr and b"2026-11-01" in again.stderr
    for file in (cache / "registry").iterdir():
        file.unlink()
    assert "503" in (line := complaint("models")) and "attnkit models --here" in line


def test_remove(server: ModelServer, cache: Path) -> None:
    output("pull", "en-it")
    output("pull", "en-it@base")
    assert output("models", "remove", "en-it@base") == ""
    assert [row["name"] for row in json.loads(output("models", "--here", "--json"))] == ["en-it"]
    output("models", "remove", "en-it")
    assert json.loads(output("models", "--here", "--json")) == []
    assert "en-it: not here" in complaint("models", "path", "en-it")
    assert "en-it: not here" in complaint("models", "remove", "en-it")
    assert "expected a name" in complaint("models", "remove", "./x")
    assert [path for path in (cache / "models").rglob("*") if path.is_file()] == []


def test_offline_is_one_line_that_says_what_to_do(server: ModelServer, cache: Path) -> None:
    line = complaint("translate", "en-it", "--offline")
    assert f"fetch {server.url}/db/models.json by hand and put it there as {cache}" in line
    output("models")  # the registry is known now
    line = complaint("translate", "en-it", "--offline")
    assert line.count(f"{server.url}/models/") == 3 and line.endswith(f"by hand into {cache}/downloads/mozilla/en-it\n")
    server.close()
    assert "Connection refused" in complaint("translate", "en-it")


def until(what: Any, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 60
    while not what():
        assert process.poll() is None and time.monotonic() < limit, "it ended before"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_who_is_killed_in_the_middle_loses_nothing(number: signal.Signals, server: ModelServer, cache: Path) -> None:
    partial = cache / "downloads" / "mozilla" / "en-it" / (Path(MODEL).name + ".part")
    server.slow.clear()
    with subprocess.Popen(command("pull", "en-it"), stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        until(lambda: partial.exists() and partial.stat().st_size > 0, process)
        process.send_signal(number)
        assert process.wait(60) == (-9 if number == signal.SIGKILL else 128 + number)
    server.slow.set()
    assert not (cache / "models").exists() or halves(cache) == []
    assert json.loads(output("models", "--here", "--json")) == []
    begun = partial.stat().st_size
    folder = output("pull", "en-it").strip()
    assert (Path(folder) / "model.safetensors").is_file() and halves(cache) == []
    assert (MODEL, f"bytes={begun}-") in server.asked


def test_two_at_once_fetch_once_and_both_work(server: ModelServer, cache: Path) -> None:
    server.slow.clear()
    processes = [
        subprocess.Popen(command("translate", "en-it"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=-1)
        for _ in range(3)
    ]
    until(lambda: any(path == MODEL for path, _ in server.asked), processes[0])
    time.sleep(0.5)
    server.slow.set()
    ends = [process.communicate(b"the dog\n", timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ends
    assert len({out for out, _ in ends}) == 1
    assert len(server.paths("model.enit")) == 1


def test_a_bar_on_a_terminal_and_none_elsewhere(server: ModelServer) -> None:
    ours, theirs = pty.openpty()
    server.slow.clear()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm"}
    with subprocess.Popen(command("pull", "en-it"), stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
        os.close(theirs)
        written = b""
        while b"model.enit" not in written:
            written += os.read(ours, 4096)
        server.slow.set()
        while True:
            try:
                written += os.read(ours, 4096)
            except OSError:  # how the end of the other side shows on Linux
                break
        os.close(ours)
        assert process.wait(60) == 0
    assert b"licence MPL-2.0" in written
    plain = attnkit_run("pull", "en-it@base").stderr.decode()
    assert "model.enit" not in plain and plain.count("\n") == 2


def test_a_model_by_path_waits_for_nothing_of_the_network(server: ModelServer) -> None:
    folder = output("pull", "en-it").strip()
    code = (
        "import sys; from attnkit.cli import main; from attnkit.cli.shared import errors\n"
        "assert errors.status_of(lambda: main.run(sys.argv[1:])) == 0\n"
        "assert not {'urllib.request', 'http.client', 'ssl', 'attnkit.hub.fetch'} & set(sys.modules)\n"
    )
    for model in (folder, "en-it"):  # one by a name that is here does not either
        subprocess.run([sys.executable, "-c", code, "translate", model], input=b"a\n", check=True, timeout=60)


def test_completion_fetches_nothing(server: ModelServer) -> None:
    environment = {**os.environ, "_ATTNKIT_COMPLETE": "bash_complete", "COMP_WORDS": "attnkit translate en-it --b",
                   "COMP_CWORD": "3"}  # fmt: skip
    done = subprocess.run(command(), env=environment, capture_output=True, text=True, timeout=60)
    assert "--beam" in done.stdout and server.asked == []
