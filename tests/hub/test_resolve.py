"""A name becomes a model: cold, warm, without a network, after every kind of mishap; nothing half is ever loaded."""

from __future__ import annotations

import errno
import gzip
import json
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from marian_files import STUDENT, write_student
from model_cache import Here
from model_server import Answer, ModelServer, publish_registry, publish_student

import attnkit
from attnkit.hub import cache, conversion, fetch
from attnkit.hub.names import parse
from attnkit.hub.resolve import pull, resolve
from attnkit.interop import convert

MODEL = "/models/en-it/run_0/exported/model.enit.intgemm.alphas.bin.gz"
VOCABULARY = "/models/en-it/run_0/exported/vocab.enit.spm.gz"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def wanted(student: Any, tmp_path: Path) -> dict[str, bytes]:
    """The model directory that the published student is."""
    files = tmp_path / "unpacked"
    files.mkdir()
    for path in (tmp_path / "published").iterdir():
        if not path.name.startswith("config"):  # which Mozilla does not publish
            shutil.copy(path, files)
    convert(files, tmp_path / "wanted")
    return content(tmp_path / "wanted")


def test_cold_then_warm(wanted: dict[str, bytes], server: ModelServer, here: Here) -> None:
    folder = resolve("en-it", say=here.said.append)
    assert content(folder) == wanted
    assert here.said == ["en-it@tiny: of Mozilla's registry (Release, 0 MB), licence MPL-2.0"]
    assert here.files("downloads") == []
    server.asked.clear()
    for name in ("en-it", "EN-IT", "en-it@tiny"):
        assert resolve(name, say=here.said.append) == folder
        assert resolve(name, offline=True) == folder
    assert server.asked == [] and len(here.said) == 1
    assert attnkit.load("en-it", task="translate").translate(["the dog"])[0].text == (
        attnkit.load(folder, task="translate").translate(["the dog"])[0].text
    )


def test_where_it_came_from_is_kept_beside_the_model(student: Any, server: ModelServer, here: Here) -> None:
    folder = resolve("en-it")
    origin = json.loads((folder.parent / "origin.json").read_text())
    assert (origin["name"], origin["kind"], origin["revision"]) == ("en-it", "mozilla", "tiny")
    assert origin["licence"] == "MPL-2.0" and origin["source"] == f"{server.url}/models/en-it/run_0/exported"
    model = student["files"]["model"]
    assert origin["digests"][Path(model["path"]).name] == model["uncompressedHash"] and len(origin["digests"]) == 3
    assert "licence" not in (folder / "config.json").read_text()


def test_another_architecture(student: Any, server: ModelServer, tmp_path: Path, here: Here) -> None:
    other = publish_student(server, tmp_path / "base", seed=1, architecture="base-memory", releaseStatus=None)
    publish_registry(server, student, other)
    folders = {name: resolve(name) for name in ("en-it@base-memory", "en-it")}
    assert len(set(folders.values())) == 2
    assert {name: resolve(name, offline=True) for name in folders} == folders
    assert resolve("en-it", revision="base-memory", offline=True) == folders["en-it@base-memory"]
    with pytest.raises(ValueError, match="it has en-it@tiny, en-it@base-memory"):
        resolve("en-it@base")


@pytest.mark.parametrize("remembered", [True, False])
def test_without_a_network_the_other_architecture_serves(
    remembered: bool, student: Any, server: ModelServer, tmp_path: Path, here: Here
) -> None:
    publish_registry(server, student, publish_student(server, tmp_path / "base", seed=1, architecture="base-memory"))
    folder = resolve("en-it@tiny")  # the pair's name alone means the other
    server.files.clear()
    if not remembered:
        shutil.rmtree(here.root / "registry")
    assert resolve("en-it", offline=True, say=here.said.append) == folder
    assert here.said == ["en-it: no network; en-it@tiny, which is here, takes its place"]


def test_what_is_asked_for_by_two_names_is_fetched_once(student: Any, server: ModelServer, here: Here) -> None:
    assert resolve("en-it@tiny") == resolve("en-it")
    assert server.paths("model.enit") == [MODEL]
    server.asked.clear()
    assert resolve("en-it") and server.asked == []


@pytest.mark.parametrize("variable", ["ATTNKIT_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_asks_nobody(
    variable: str, student: Any, server: ModelServer, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    for name in ("en-it", "en-it@tiny"):
        with pytest.raises(fetch.Unreachable, match=r"db/models.json by hand and put it there as .*\.json"):
            resolve(name)
    assert server.asked == []
    monkeypatch.setenv(variable, "0")
    assert resolve("en-it").is_dir()


@pytest.mark.parametrize("unpacked", [False, True])
def test_what_is_said_to_do_by_hand_works(
    unpacked: bool, wanted: dict[str, bytes], server: ModelServer, here: Here
) -> None:
    with pytest.raises(fetch.Unreachable) as first:
        resolve("en-it", offline=True)
    assert str(first.value).count("\n") == 0
    registry = Path(str(first.value).rpartition(" put it there as ")[2])
    registry.parent.mkdir(parents=True, exist_ok=True)
    registry.write_bytes(server.files["/db/models.json"])
    with pytest.raises(fetch.Unreachable) as second:
        resolve("en-it", offline=True)
    line = str(second.value)
    folder = Path(line.rpartition(" by hand into ")[2])
    urls = [word for word in line.split() if word.startswith("http")]
    assert len(urls) == 3 and line.count("\n") == 0
    folder.mkdir(parents=True, exist_ok=True)
    for url in urls:
        data, name = server.files[url.removeprefix(server.url)], url.rpartition("/")[2]
        if unpacked:
            data, name = gzip.decompress(data), name.removesuffix(".gz")
        (folder / name).write_bytes(data)
    assert content(resolve("en-it", offline=True)) == wanted
    assert server.asked == []


def test_a_server_that_is_gone_says_the_same(student: Any, server: ModelServer, here: Here) -> None:
    server.always[MODEL] = Answer(500)
    with pytest.raises(fetch.Unreachable, match=r"500 Internal Server Error\): fetch http\S+model\S+ http\S+vocab"):
        resolve("en-it")
    assert here.files("models") == []


def test_what_was_put_by_hand_and_is_wrong_is_told(student: Any, server: ModelServer, here: Here) -> None:
    server.always[MODEL] = Answer(500)
    with pytest.raises(fetch.Unreachable):
        resolve("en-it")
    folder = here.root / "downloads" / "mozilla" / "en-it"
    (folder / Path(MODEL).name).write_bytes(gzip.compress(b"another model"))
    with pytest.raises(ValueError, match=r"has the SHA-256 \w+, expected"):
        resolve("en-it", offline=True)
    del server.always[MODEL]
    assert resolve("en-it").is_dir()  # with a network, it is fetched anew


@pytest.mark.parametrize("harm", ["digest", "not packed", "cut", "bomb", "html"])
def test_a_model_that_is_not_what_the_registry_says_is_not_kept(
    harm: str, wanted: dict[str, bytes], server: ModelServer, here: Here
) -> None:
    sound = server.files[MODEL]
    server.files[MODEL] = {
        "digest": gzip.compress(gzip.decompress(sound)[:-1] + b"x"),
        "not packed": gzip.decompress(sound)[:-1],
        "cut": sound[:-20],
        "bomb": gzip.compress(bytes(1 << 24)),
        "html": b"<html>sign in</html>",
    }[harm]
    with pytest.raises(ValueError, match=r"SHA-256|expected a (whole gzip|file of at most)"):
        resolve("en-it")
    assert here.files("models") == [] and Path(MODEL).name not in [path.name for path in here.files("downloads")]
    server.files[MODEL] = sound
    assert content(resolve("en-it")) == wanted


def test_a_vocabulary_that_is_none_leaves_nothing_behind(student: Any, server: ModelServer, here: Here) -> None:
    server.files[VOCABULARY] = gzip.compress(b"no vocabulary")
    with pytest.raises(ValueError, match="vocab"):
        resolve("en-it")
    assert here.files("models") == []


def test_what_breaks_off_goes_on_another_day(wanted: dict[str, bytes], server: ModelServer, here: Here) -> None:
    server.odd[MODEL] = [Answer(cut=1000), *[Answer(503)] * 9]
    with pytest.raises(fetch.Unreachable):
        resolve("en-it")
    assert here.files("models") == []
    server.odd.clear()
    server.asked.clear()
    assert content(resolve("en-it")) == wanted
    assert (MODEL, "bytes=1000-") in server.asked


@pytest.mark.parametrize("path", [MODEL, VOCABULARY])  # one with a digest, one without
def test_the_beginning_of_a_file_that_was_harmed_since_is_fetched_again(
    path: str, wanted: dict[str, bytes], server: ModelServer, here: Here
) -> None:
    server.odd[path] = [Answer(cut=1000), *[Answer(503)] * 9]
    with pytest.raises(fetch.Unreachable):
        resolve("en-it")
    server.odd.clear()
    (partial,) = (file for file in here.files("downloads") if file.suffix == ".part")
    partial.write_bytes(partial.read_bytes()[:500] + bytes(500))
    assert content(resolve("en-it")) == wanted


def test_a_full_disk_leaves_no_half_model(
    wanted: dict[str, bytes], server: ModelServer, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = conversion.convert

    def full(source: Path, directory: Path) -> list[str]:
        whole(source, directory)
        raise OSError(errno.ENOSPC, "No space left on device", str(directory / "model.safetensors"))

    monkeypatch.setattr(conversion, "convert", full)
    with pytest.raises(OSError, match="No space left on device"):
        resolve("en-it")
    assert here.files("models") == []
    monkeypatch.setattr(conversion, "convert", whole)
    server.asked.clear()
    assert content(resolve("en-it")) == wanted
    assert server.paths() == ["/db/models.json"]  # what was fetched was not lost


def test_threads_fetch_once(student: Any, server: ModelServer, here: Here) -> None:
    server.slow.clear()
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(resolve("en-it", say=here.said.append))) for _ in range(4)]
    for thread in threads:
        thread.start()
    while not any("waiting" in line for line in here.said):
        threads[0].join(0.01)
    server.slow.set()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert server.paths("model.enit") == [MODEL]


def test_pull_brings_what_is_new(student: Any, server: ModelServer, tmp_path: Path, here: Here) -> None:
    old = pull("en-it", say=here.said.append)
    server.asked.clear()
    assert pull("en-it", say=here.said.append) == old and server.paths() == ["/db/models.json"]
    publish_registry(server, publish_student(server, tmp_path / "new", seed=7))
    assert resolve("en-it") == old.model  # nobody is surprised by another model
    new = pull("en-it", say=here.said.append)
    assert new.model != old.model and not old.release.exists()
    assert resolve("en-it") == resolve("en-it@tiny") == new.model
    with pytest.raises(ValueError, match="expected a name"):
        pull("./en-it")


@pytest.mark.parametrize("harm", ["origin", "model", "garbage"])
def test_a_release_that_is_not_whole_is_none(harm: str, wanted: dict[str, bytes], here: Here) -> None:
    """As no rename leaves it, but people do."""
    release = resolve("en-it").parent
    if harm == "origin":
        (release / "origin.json").unlink()
    elif harm == "model":
        shutil.rmtree(release / "model")
    else:
        (release / "origin.json").write_text("{")
    assert cache.here() == []
    assert content(resolve("en-it")) == wanted


def test_what_a_killed_process_was_converting_is_cleared_away(student: Any, here: Here) -> None:
    left = here.root / "models" / "mozilla" / "en-it" / ".attnkit-0123abcd-0.tmp"
    (left / "model").mkdir(parents=True)
    (left / "model" / "config.json").write_text("{}")
    assert resolve("en-it").is_dir() and not left.exists()


# ----- The Hub


@pytest.fixture
def hub(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A Hub that has one model, of two commits."""
    found = SimpleNamespace(asked=[], commits={None: "a" * 40, "main": "a" * 40, "v1": "b" * 40})

    def snapshot(repo: str, revision: str | None, *, offline: bool, say: Any) -> SimpleNamespace:
        found.asked.append((repo, revision, offline))
        if offline or repo != "org/name" or revision not in found.commits:
            raise ValueError(f"[hub] {repo}: not in the cache")
        commit = found.commits[revision]
        folder = tmp_path / f"snapshot-{commit[:7]}"
        if not folder.exists():
            write_student(folder, STUDENT, seed=ord(commit[0]))
        return SimpleNamespace(folder=folder, revision=commit, licence="apache-2.0")

    monkeypatch.setitem(sys.modules, "attnkit.hub.huggingface", SimpleNamespace(snapshot=snapshot))
    return found


def test_a_model_of_the_hub_is_converted_once(hub: SimpleNamespace, here: Here) -> None:
    folder = resolve("org/name", say=here.said.append)
    assert "licence apache-2.0" in here.said[0] and "a" * 40 in here.said[0]
    assert attnkit.load("org/name", task="translate").translate(["the dog"])
    for name in ("org/name", "org/name@aaaaaaa", f"org/name@{'a' * 40}"):
        assert resolve(name) == resolve(name, offline=True) == folder
    assert hub.asked == [("org/name", None, False)]
    assert resolve("org/name@main") == folder and len(hub.asked) == 2  # another request, but the same commit
    assert resolve("org/name@main") == folder and len(hub.asked) == 2
    origin = json.loads((folder.parent / "origin.json").read_text())
    assert (
        origin["revision"] == "a" * 40 and origin["requested"] == [None, "main"] and origin["licence"] == "apache-2.0"
    )
    assert len(origin["digests"]) == 4


def test_revisions_of_the_hub_stand_side_by_side(hub: SimpleNamespace, here: Here) -> None:
    tagged, newest = resolve("org/name@v1"), resolve("org/name")
    assert tagged != newest and resolve("org/name", revision="v1", offline=True) == tagged
    assert resolve("org/name", offline=True) == newest
    hub.commits[None] = "c" * 40
    assert resolve("org/name") == newest
    assert pull("org/name").origin.revision == "c" * 40
    assert resolve("org/name") != newest and resolve("org/name@v1") == tagged


def test_what_the_hub_does_not_have_is_told_with_the_name(hub: SimpleNamespace, here: Here) -> None:
    with pytest.raises(FileNotFoundError, match=r"runs/en-it: no such directory, and not to be had from the Hub: "):
        attnkit.load("runs/en-it")
    with pytest.raises(FileNotFoundError, match=r"org/name@v9: no such directory"):
        resolve("org/name@v9", offline=True)
    assert here.files("models") == [] and cache.find(parse("org/name")) is None  # type: ignore[arg-type]
