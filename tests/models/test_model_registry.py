"""The registry of models: each entry names classes that are there, and costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any, get_args

import pytest

from attnkit.models import ModelConfig
from attnkit.models.registry import ENTRIES, Entry, config_type, size_names


def class_of(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"attnkit.models.{module}"), attribute)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.type)
def test_an_entry_names_the_classes_of_its_model(entry: Entry) -> None:
    config = class_of(entry.config)
    assert config.__struct_config__.tag_field == "type" and config.__struct_config__.tag == entry.type
    assert config in get_args(ModelConfig) and config_type(entry.type) is config
    assert callable(class_of(entry.model))


def test_types_are_distinct_and_what_is_none_may_be_any() -> None:
    assert len({entry.type for entry in ENTRIES}) == len(ENTRIES) == len(get_args(ModelConfig))
    assert {config_type(kind) for kind in (None, "nonsense", ["transformer"])} == {ModelConfig}


def test_sizes_are_those_of_the_entry() -> None:
    config = config_type("transformer")()
    assert size_names(config) == ("source_vocab_size", "target_vocab_size")


def test_the_registry_itself_imports_no_model() -> None:
    code = (
        "import sys, attnkit.models.registry\n"
        "print(*(name for name in sys.modules if name.startswith('attnkit.models.') or name == 'msgspec'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["attnkit.models.registry"]
