"""Mozilla's registry: which release a pair means, and what a registry of garbage can do, which is nothing."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from model_cache import Here
from model_server import ModelServer, publish_registry

from attnkit.hub import cache, mozilla
from attnkit.hub.names import Pair

HASH = "ab" * 32


def entry(architecture: str = "tiny", status: str | None = "Release", pair: str = "en-it", **changes: Any) -> Any:
    source, target = pair.split("-")
    place, short = f"models/{pair}/{architecture}/exported", f"{source}{target}"
    return {
        "architecture": architecture,
        "releaseStatus": status,
        "sourceLanguage": source,
        "targetLanguage": target,
        "files": {
            "model": {
                "path": f"{place}/model.{short}.intgemm.alphas.bin.gz",
                "uncompressedSize": 17_000_000,
                "uncompressedHash": HASH,
            },
            "vocab": {"path": f"{place}/vocab.{short}.spm.gz"},
            "lexicalShortlist": {"path": f"{place}/lex.50.50.{short}.s2t.bin.gz"},
        },
        **changes,
    }


def chosen(server: ModelServer, name: Pair, *entries: Any) -> mozilla.Release:
    publish_registry(server, *entries)
    return mozilla.ask().choose(name)


@pytest.mark.parametrize(
    ("listed", "default"),
    [
        ([("tiny", None), ("base", "Release")], "base"),
        ([("tiny", "Release Android"), ("base-memory", "Release Desktop")], "base-memory"),
        ([("base-memory", "Nightly"), ("tiny", "Release Android")], "tiny"),
        ([("tiny", "Release"), ("base", "Release"), ("base-memory", "Release")], "base-memory"),
        ([("odd", "Release"), ("tiny", "Release")], "tiny"),
        ([("odd", None)], "odd"),
    ],
)
def test_a_pair_means_what_firefox_ships(
    listed: list[tuple[str, str | None]], default: str, server: ModelServer
) -> None:
    for order in (listed, listed[::-1]):
        publish_registry(server, *(entry(*each) for each in order))
        registry = mozilla.ask()
        assert registry.choose(Pair("en", "it")).pair == Pair("en", "it", default)
        for architecture, status in listed:
            release = registry.choose(Pair("en", "it", architecture))
            assert (release.pair.architecture, release.status) == (architecture, status)
            assert release.default == (architecture == default)


def test_what_a_release_says(server: ModelServer) -> None:
    release = chosen(
        server,
        Pair("en", "zh_hant"),
        entry(pair="en-zh_hant", metrics={"flores200-plus": {"bleu": 30.5, "comet22": None}, "other": {"bleu": 1}}),
    )
    assert release.files[0] == mozilla.File(
        f"{server.url}/models/en-zh_hant/tiny/exported/model.enzh_hant.intgemm.alphas.bin.gz",
        "model.enzh_hant.intgemm.alphas.bin.gz",
        17_000_000,
        HASH,
        17_000_000 + 65536,
    )
    assert [file.size for file in release.files[1:]] == [None, None]
    assert release.metrics == {"bleu": 30.5} and release.size == 17_000_000


def test_separate_vocabularies_and_files_that_are_not_packed(server: ModelServer) -> None:
    files = {
        "model": {"path": "m/model.enko.intgemm.alphas.bin"},
        "srcVocab": {"path": "m/srcvocab.enko.spm.zst"},
        "trgVocab": {"path": "m/trgvocab.enko.spm"},
        "config": {"path": "m/config.yml"},
    }
    release = chosen(server, Pair("en", "ko"), entry(pair="en-ko", files=files))
    assert [file.name for file in release.files] == [
        "model.enko.intgemm.alphas.bin",
        "srcvocab.enko.spm.zst",
        "trgvocab.enko.spm",
    ]


def test_an_unknown_pair_is_told_with_those_near_it(server: ModelServer) -> None:
    publish_registry(server, *(entry(pair=pair) for pair in ("en-it", "it-en", "en-is", "de-fr")))
    registry = mozilla.ask()
    with pytest.raises(mozilla.UnknownPair, match=r"near it: en-is, en-it|near it: en-it, en-is"):
        registry.choose(Pair("en", "ix"))
    with pytest.raises(mozilla.UnknownPair, match=r"near it: de-fr"):
        registry.choose(Pair("fr", "de"))
    with pytest.raises(mozilla.UnknownPair, match=r"it has en-it@tiny"):
        registry.choose(Pair("en", "it", "base"))
    with pytest.raises(mozilla.UnknownPair, match=r"registry \(attnkit models lists all\)"):
        registry.choose(Pair("xx", "yy"))


def test_the_address_is_the_environments_and_else_mozillas(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTNKIT_REGISTRY", raising=False)
    assert mozilla.address() == f"{mozilla.BASE}/db/models.json" and mozilla.list_file().name == "mozilla.json"
    monkeypatch.setenv("ATTNKIT_REGISTRY", "https://mirror.example/models/")
    assert mozilla.address() == "https://mirror.example/models/db/models.json"
    assert mozilla.list_file().name.startswith("mozilla-")  # what one says is not taken for the other's
    for wrong in ("file:///etc", "ftp://x", "/etc", "https://", "models"):
        monkeypatch.setenv("ATTNKIT_REGISTRY", wrong)
        with pytest.raises(ValueError, match="ATTNKIT_REGISTRY: expected an address"):
            mozilla.address()


def test_without_a_mirror_files_are_where_the_registry_says(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTNKIT_REGISTRY", raising=False)
    mozilla.list_file().parent.mkdir(parents=True)
    table = {"baseUrl": "https://files.example/", "models": {"en-it": [entry()]}}
    for written in (json.dumps(table).encode(), gzip.compress(json.dumps(table).encode())):
        mozilla.list_file().write_bytes(written)
        registry = mozilla.remembered()
        assert registry is not None
        assert registry.choose(Pair("en", "it")).files[1].url == (
            "https://files.example/models/en-it/tiny/exported/vocab.enit.spm.gz"
        )
    mozilla.list_file().write_text(json.dumps({**table, "baseUrl": "file:///etc"}))
    with pytest.raises(ValueError, match="expected a baseUrl by http or https"):
        mozilla.remembered()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><title>Sign in to the network</title>",
        b"[]",
        b"null",
        b'{"baseUrl": "https://a.b"}',
        b'{"baseUrl": 1, "models": {}}',
        b'{"baseUrl": "https://a.b", "models": {}}',
        b'{"baseUrl": "https://a.b", "models": []}',
        b'{"baseUrl": "https://a.b", "models": {"en-it": [{}, 1, null, "x", []]}}',
        b"[" * 100_000,
        b'{"models": ' * 5000,
        b"\xff\xfe",
        gzip.compress(b'{"baseUrl": "https://a.b", "models": {"en-it": []}}')[:30],
        gzip.compress(bytes(1 << 26)),
    ],
    ids=range(14),
)
def test_a_registry_of_garbage_is_refused_and_not_kept(content: bytes, server: ModelServer, here: Here) -> None:
    server.files["/db/models.json"] = content
    with pytest.raises(ValueError, match=r"/db/models.json: expected Mozilla's registry of models"):
        mozilla.ask()
    assert mozilla.remembered() is None and here.files("registry") == []


def broken(role: str, **file: Any) -> Any:
    sound = entry()
    return {**sound, "files": {**sound["files"], role: {**sound["files"][role], **file}}}


@pytest.mark.parametrize(
    "listed",
    [
        broken("model", path="../../../../home/model.bin"),
        broken("model", path="/etc/model.bin"),
        broken("model", path="models/../../model.bin"),
        broken("model", path="https://evil.example/model.bin"),
        broken("model", path="m/config.json"),
        broken("model", path="m/model.bin?x=.bin"),
        broken("model", path="m\\model.bin"),
        broken("model", path="m/model.bin\n"),
        broken("model", path="m/model\0.bin"),
        broken("vocab", path="m/model.bin"),
        broken("vocab", path=".config/vocab.spm/../../.bashrc"),
        broken("model", uncompressedSize=1 << 40),
        broken("model", uncompressedSize=-1),
        broken("model", uncompressedSize="17"),
        broken("model", uncompressedHash="ab"),
        broken("model", uncompressedHash=HASH[:-1] + "/"),
        entry(architecture="../../x"),
        entry(architecture=""),
        entry(files={}),
        entry(files={"model": {"path": "m/model.bin"}}),
        entry(files={"model": {"path": "m/model.bin"}, "srcVocab": {"path": "m/srcvocab.spm"}}),
        entry(metrics={"flores200-plus": "good"}),
    ],
    ids=range(22),
)
def test_what_could_leave_its_folder_or_fill_the_disk_is_passed_over(listed: Any, server: ModelServer) -> None:
    publish_registry(server, listed, entry(architecture="base"), entry(pair="de-en"))
    registry = mozilla.ask()
    assert [release.pair.architecture for release in registry.releases["en-it"]] == ["base"]
    assert sorted(registry.releases) == ["de-en", "en-it"]


@pytest.mark.parametrize("name", ["../../x", "en", "en-it/../..", "", "en-it@tiny", "a/b"])
def test_what_is_no_pair_is_passed_over(name: str, server: ModelServer) -> None:
    table = publish_registry(server, entry(pair="de-en"))
    table["models"][name] = [entry()]
    server.files["/db/models.json"] = json.dumps(table).encode()
    assert list(mozilla.ask().releases) == ["de-en"]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):  # as the XDG specification has it, a relative path counts for nothing
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache.root() == tmp_path / ".cache" / "attnkit"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache.root() == Path("/elsewhere/attnkit")
