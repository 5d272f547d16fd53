"""Packages whose names are imported when they are first used: each name is there, and what is not asked for is not."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import attnkit

MODELS = Path(__file__).parents[1] / "data" / "formats" / "1" / "models"

FACADES = [
    "attnkit",
    "attnkit.decoding",
    "attnkit.explain",
    "attnkit.models",
    "attnkit.nn",
    "attnkit.nn.attention",
    "attnkit.text",
    "attnkit.training",
    "attnkit.vision",
]

# What a translation alone has no use for, and what takes long to import.
HEAVY = {
    "PIL",
    "attnkit.explain.sentence.map",
    "attnkit.hub.names",
    "attnkit.models.captioner",
    "attnkit.models.captioner_config",
    "attnkit.models.guided_alignment",
    "attnkit.models.recurrent_config",
    "attnkit.models.sentence_encoder_config",
    "attnkit.nn.attention.local",
    "attnkit.nn.gates",
    "attnkit.nn.recurrent",
    "attnkit.nn.ssru",
    "attnkit.tasks.translate.paragraphs",
    "attnkit.tasks.translate.pivot",
    "attnkit.text.alignment",
    "attnkit.text.kept",
    "attnkit.text.sentences",
    "attnkit.training.trainer",
    "attnkit.vision.loader",
    "concurrent.futures",
    "dataclasses",
    "difflib",
    "gzip",
    "hashlib",
    "html",
    "logging",
    "regex",
    "rich",
    "sacrebleu",
    "safetensors",
    "subprocess",
    "tomllib",
    "urllib.request",
    "yaml",
}


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


def imported(code: str, *arguments: str) -> set[str]:
    """The modules of a fresh process that has run `code`."""
    code = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], input="a", capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


def test_a_translator_loads_without_what_it_does_not_need(old_translator):
    """Half of the time that a command takes to start went there."""
    modules = imported("import attnkit\nattnkit.load(sys.argv[1]).translate(['a'])", str(old_translator))
    assert "attnkit.tasks.translate.translator" in modules
    assert HEAVY & modules == set()


def test_to_load_is_not_to_write():
    """What only files that are written need, and streams that are waited for, comes with these. (SentencePiece brings
    some of it along.)"""
    modules = imported("import attnkit\nattnkit.load(sys.argv[1])", str(MODELS / "translate-recurrent"))
    assert "attnkit.text.tokenizers.words" in modules
    assert {"bz2", "lzma", "select", "shutil", "zlib"} & modules == set()


def test_the_command_translates_without_what_it_does_not_need(old_translator):
    code = "from attnkit.cli.main import group\ngroup(['translate', *sys.argv[1:]], standalone_mode=False)"
    modules = imported(code, str(old_translator))
    assert "attnkit.cli.translate" in modules
    assert HEAVY & modules == set()


@pytest.fixture
def old_translator() -> Path:
    return MODELS / "translate"
