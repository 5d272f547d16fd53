"""What stands beside the code agrees with it: the reference has every public name, and there is one version."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import attnkit
from attnkit.explore import EXPERIMENTS
from attnkit.tasks.keys import with_tables

ROOT = Path(__file__).parent.parent.parent
PAGES = ROOT / "docs" / "reference"


def named_on(page: str) -> list[str]:
    return re.findall(r"^::: (\S+)$", (PAGES / page).read_text(encoding="utf-8"), re.MULTILINE)


def test_the_reference_has_every_public_name_and_no_other() -> None:
    public = {name: getattr(attnkit, name) for name in attnkit.__all__}
    modules = {name for name, value in public.items() if isinstance(value, ModuleType)}
    named = named_on("attnkit.md")
    assert sorted(name for name in named if name.count(".") == 1) == sorted(
        f"attnkit.{name}" for name in public.keys() - modules
    )
    for name in named:  # also those of results, which have no name in attnkit itself
        module, _, member = name.rpartition(".")
        assert hasattr(import_module(module), member), name
    for name in modules:
        assert named_on(f"{name}.md") == [f"attnkit.{name}"]
        assert all(hasattr(public[name], member) for member in public[name].__all__)
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for page in PAGES.iterdir():
        assert f"reference/{page.name}" in menu


def test_the_version_is_the_same_everywhere() -> None:
    places = {
        "pyproject.toml": r'^version = "(.+)"$',
        "CMakeLists.txt": r"^project\(attnkit VERSION (\S+)",
        "CITATION.cff": r"^version: (.+)$",
    }
    for file, pattern in places.items():
        found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None and found[1] == attnkit.__version__, file


@pytest.mark.parametrize("guide", ["translation", "classification", "vision", "attention"])
def test_the_tables_of_keys_say_what_the_configurations_say(guide: str) -> None:
    text = (ROOT / "docs" / f"{guide}.md").read_text(encoding="utf-8")
    assert "<!-- keys: " in text
    assert with_tables(text) == text, "run ./dev keys"


def test_the_lectures_name_every_experiment_and_no_other() -> None:
    text = (ROOT / "docs" / "lectures.md").read_text(encoding="utf-8")
    named = set(re.findall(r"attnkit explore ([a-z][a-z-]*)", text)) - {"all"}
    assert named == EXPERIMENTS.keys()


def test_links_between_the_guides_lead_somewhere() -> None:
    """To a file that there is and, where a section is named, to a heading in it."""
    lost = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        for file, anchor in re.findall(r"\]\(([^)#\s:]*)(?:#([^)\s]*))?\)", page.read_text(encoding="utf-8")):
            target = page.parent / file if file else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                lost.append(f"{page.name}: {file}#{anchor}")
    assert lost == []


def anchors(page: Path) -> set[str]:
    """What its headings are called in links: small letters, dashes for spaces, no other signs."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"\[(.+?)\]\(.+?\)", r"\1", each) for each in headings)
    return {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in plain}
