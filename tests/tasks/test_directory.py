"""Model directories as the tasks see them: what is written is what was written before, and is read once."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import attnkit
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
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        if path.name == "config.json":
            reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    attnkit.load(MODELS / name)
    assert len(reads) == 1


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
