"""Pairs without English are two translators, where there is none that translates directly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from model_cache import Here
from model_server import ModelServer, publish_registry, publish_student

from attnkit.hub.resolve import resolve
from attnkit.hub.route import through_english


@pytest.fixture
def entries(server: ModelServer, tmp_path: Path) -> list[dict[str, Any]]:
    pairs = [("de", "en"), ("en", "pt"), ("en", "it"), ("it", "fr")]
    found = [
        publish_student(server, tmp_path / f"{source}{target}", source, target, seed)
        for seed, (source, target) in enumerate(pairs)
    ]
    publish_registry(server, *found)
    return found


def test_a_pair_without_english_goes_through_it(entries: Any, server: ModelServer) -> None:
    assert through_english("de-pt") == ("de-en", "en-pt")
    assert through_english("de-it", revision="tiny") == ("de-en@tiny", "en-it@tiny")


@pytest.mark.parametrize("name", ["it-fr", "de-en", "en-de", "en-xx", "de-fr", "pt-de", "org/name", "./de-pt", "model"])
def test_what_is_direct_or_leads_nowhere_does_not(name: str, entries: Any) -> None:
    assert through_english(name) is None


def test_a_folder_comes_first(entries: Any, server: ModelServer, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("de-pt").mkdir()
    assert through_english("de-pt") is None and server.asked == []


def test_where_both_are_here_nobody_is_asked(entries: Any, server: ModelServer, here: Here) -> None:
    for leg in ("de-en", "en-pt"):
        resolve(leg)
    server.asked.clear()
    assert through_english("de-pt") == through_english("de-pt", offline=True) == ("de-en", "en-pt")
    assert server.asked == []


def test_without_a_network_it_goes_by_what_the_registry_said_last(
    entries: Any, server: ModelServer, here: Here
) -> None:
    assert through_english("de-pt", offline=True) is None and server.asked == []
    assert through_english("de-pt") == ("de-en", "en-pt")
    server.close()
    assert through_english("de-pt") == through_english("de-pt", offline=True) == ("de-en", "en-pt")
    assert through_english("it-fr") is None


def test_a_direct_translator_that_appears_is_taken_instead(
    entries: Any, server: ModelServer, tmp_path: Path, here: Here
) -> None:
    assert through_english("de-pt") == ("de-en", "en-pt")
    publish_registry(server, *entries, publish_student(server, tmp_path / "direct", "de", "pt", 9))
    assert through_english("de-pt") is None
    resolve("de-pt")
    assert through_english("de-pt", offline=True) is None
