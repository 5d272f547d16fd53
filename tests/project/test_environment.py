"""The list of environment variables is the truth: the sources read no other, and the page says the same."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import attnkit_run

from attnkit.environment import VARIABLES

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
LISTED = {variable.name for variable in VARIABLES}


def read_by_python(path: Path, package: str) -> Iterator[str]:
    """Names given to os.environ or os.getenv, literal or as a name of the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Subscript(value=ast.Attribute(attr="environ"), slice=key):
                pass
            case ast.Compare(left=key, comparators=[ast.Attribute(attr="environ")]):
                pass
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="environ"), attr="get" | "pop"), args=[key, *_]):
                pass
            case ast.Call(func=ast.Attribute(attr="getenv"), args=[key, *_]):
                pass
            case _:
                continue
        match key:
            case ast.Constant(value=str(name)):
                yield name
            case ast.Name(id=constant):
                yield getattr(importlib.import_module(f"{package}.{path.stem}"), constant)
            case ast.Attribute(value=ast.Name(id="variable"), attr="name"):
                assert path.name == "environment.py"  # the list itself
            case _:
                pytest.fail(f"{path}:{node.lineno}: a variable whose name cannot be seen")


def read_by_product() -> dict[str, str]:
    """Each variable that what is installed reads, and where."""
    found = {}
    for folder in ("cpp", "src"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".cc", ".h", ".pyx", ".pxd"):
                text = path.read_text(encoding="utf-8")
                names = re.findall(r'getenv\(\s*"(\w+)"', text)
                assert len(names) == text.count("getenv("), f"{path}: a variable whose name cannot be seen"
                found |= dict.fromkeys(names, str(path))
    for folder, package in (("attnkit", "attnkit"), ("cli", "attnkit.cli")):
        for path in (ROOT / folder).rglob("*.py"):
            inner = ".".join((package, *path.parent.relative_to(ROOT / folder).parts))
            found |= dict.fromkeys(read_by_python(path, inner), str(path))
    return found


def read_by_development() -> set[str]:
    names = set(re.findall(r"\$\{([A-Z]\w*):?-", (ROOT / "dev").read_text(encoding="utf-8")))
    for folder in ("tests", "bench", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            names |= set(read_by_python(path, folder))
    return names


def test_the_product_reads_what_is_listed_and_nothing_else() -> None:
    found = read_by_product()
    assert set(found) == LISTED, found


def test_the_page_has_each_variable_as_the_list_has_it() -> None:
    for variable in VARIABLES:
        row = f"| `{variable.name}` | {variable.values} | {variable.default} | {variable.meaning} |"
        assert row in PAGE.splitlines(), f"docs/environment.md lacks: {row}"


def test_the_page_has_what_tests_and_scripts_read() -> None:
    missing = [name for name in read_by_development() if f"`{name}`" not in PAGE]
    assert not missing


def test_doctor_shows_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("ATTNKIT_ISA", raising=False)
    found = json.loads(attnkit_run("doctor", "--json").stdout)["environment"]
    assert set(found) == LISTED
    assert found["OMP_NUM_THREADS"] == "1" and found["ATTNKIT_ISA"] is None
    shown = attnkit_run("doctor").stdout.decode().splitlines()
    assert any(line.split() == ["OMP_NUM_THREADS", "1"] for line in shown)
    assert any(line.startswith("ATTNKIT_ISA") and "not set" in line for line in shown)
