"""What is a name and what is a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from attnkit.hub.names import Pair, Repository, parse
from attnkit.hub.resolve import resolve


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("en-de", Pair("en", "de")),
        ("EN-DE", Pair("en", "de")),
        ("en-de@base-memory", Pair("en", "de", "base-memory")),
        ("en-zh_hant", Pair("en", "zh_hant")),
        ("zh-Hant-en", Pair("zh_hant", "en")),
        ("Helsinki-NLP/opus-mt-en-de", Repository("Helsinki-NLP/opus-mt-en-de")),
        ("org/name@v1.0", Repository("org/name", "v1.0")),
        ("org/name@refs/pr/3", Repository("org/name", "refs/pr/3")),
        ("runs/en-de", Repository("runs/en-de")),
    ],
)
def test_names(text: str, name: Pair | Repository) -> None:
    assert parse(text) == name
    assert parse(str(name)) == name  # what a message calls it means the same


@pytest.mark.parametrize(
    "text",
    ["./en-de", "../org/name", "/org/name", "~/model", "a/b/c", "org/name/", "model", "e-d", "en-de.bin", "", "a..b/c",
     "org/na--me", "org/", "/name", "org/name\n", "en-de\n", "ёж-de", "en-de/", ".org/name"],
)  # fmt: skip
def test_all_else_is_a_path(text: str) -> None:
    assert parse(text) is None
    assert resolve(text) == Path(text)


def test_a_path_object_is_a_path() -> None:
    assert parse(Path("en-de")) is None and resolve(Path("en-de")) == Path("en-de")


def test_a_revision_may_stand_beside_the_name() -> None:
    assert parse("en-de", "tiny") == Pair("en", "de", "tiny")
    with pytest.raises(ValueError, match="expected one revision"):
        parse("en-de@base", "tiny")
    with pytest.raises(ValueError, match="expected a name"):
        resolve("./en-de", revision="tiny")


@pytest.mark.parametrize("text", ["en-de@", "en-de@../x", "org/name@", "org/name@../../x", "org/name@a b", "en-de@a/b"])
def test_what_can_be_no_revision_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="behind the @"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("bert-base-uncased", "google-bert/bert-base-uncased"),
        ("gpt2", "openai-community/gpt2"),
        ("t5-small@main", "google-t5/t5-small"),
        ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_a_model_that_everybody_calls_by_its_name_alone_has_its_owner(text: str, path: str) -> None:
    name = parse(text)
    assert isinstance(name, Repository) and name.path == path


def test_an_existing_folder_always_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("en-de", "runs/en-it", "en-de@tiny"):
        Path(name).mkdir(parents=True)
        assert resolve(name) == Path(name)
