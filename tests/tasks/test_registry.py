"""The registry of tasks: each entry names classes that are there and say the same of themselves."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any, get_args

import pytest

from attnkit.tasks.registry import ENTRIES, Entry, serving_class
from attnkit.training import RunConfig


def class_of(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(f"attnkit.tasks.{module}"), attribute)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.task}-{entry.reads}")
def test_an_entry_names_the_classes_of_its_task(entry: Entry) -> None:
    assert (entry.config is None) == (entry.training is None)
    if entry.config is not None and entry.training is not None:
        config = class_of(entry.config)
        assert config.__struct_config__.tag_field == "task" and config.__struct_config__.tag == entry.task
        assert config in get_args(RunConfig)
        assert callable(class_of(entry.training).save)
    serving = serving_class(entry)
    assert serving is class_of(entry.serving) and callable(serving.from_directory)
    assert getattr(serving, "reads", "text") == entry.reads


def test_the_registry_itself_imports_no_task() -> None:
    code = (
        "import sys, attnkit.tasks.registry\n"
        "print(*(name for name in sys.modules if name.startswith('attnkit.tasks.') or name == 'msgspec'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["attnkit.tasks.registry"]
