"""Packages whose names are imported when they are first used: each name is there, and what is not asked for is not."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import attnkit

FACADES = ["attnkit", "attnkit.models", "attnkit.text", "attnkit.training", "attnkit.vision"]


def named_for_types(package: str) -> set[str]:
    """What type checkers see: the imports under TYPE_CHECKING, and those that happen at once."""
    module = import_module(package)
    nodes = ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
    return {alias.asname or alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}


@pytest.mark.parametrize("package", FACADES)
def test_every_public_name_is_there_for_programs_and_for_type_checkers(package):
    module = import_module(package)
    assert set(module.__all__) <= set(dir(module))
    assert set(module.__all__) <= named_for_types(package)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_a_package_has_its_own_modules_as_attributes():
    assert attnkit.text.corpus is sys.modules["attnkit.text.corpus"]


@pytest.mark.parametrize("package", FACADES)
def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        import_module(package).nonsense  # noqa: B018


def test_a_translator_loads_without_what_captioners_need(old_translator):
    """Half of the time that a command takes to start went there."""
    code = f"import sys, attnkit; attnkit.load({str(old_translator)!r}); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "attnkit.tasks.translate.translator" in modules
    assert not {"PIL", "attnkit.vision.loader", "attnkit.models.captioner", "attnkit.training.trainer"} & set(modules)


@pytest.fixture
def old_translator() -> Path:
    return Path(__file__).parents[1] / "data" / "formats" / "1" / "models" / "translate"
