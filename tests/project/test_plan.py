"""The plan of the house (docs/architecture.md): who may import whom, in Python and in C++."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from import_graph import EXTENSIONS, ROOT, Import, circles, imports_of, sources

# From the ground up. A room imports from the rows before its own, never from its own row or a later one: so training
# knows no text, no image and no task, and text and vision do not know each other.
STOREYS = (
    ("_core", "_beam", "_batching", "_testing", "kernels"),
    ("_interrupt", "process_lock"),
    (
        *("_lazy", "_openblas", "_openmp", "_version"),
        *("devices", "environment", "files", "printable", "reading", "typed", "words"),
    ),
    ("_tensor",),
    ("ops",),
    ("data", "metrics", "nn", "weights"),
    ("explain", "hub", "optim"),
    ("distributed",),
    ("training",),
    ("text", "vision"),
    ("decoding",),
    ("models",),
    ("tasks",),
    ("interop", "ray"),
    ("benchmark", "demo", "doctor", "explore"),
)
HEIGHT = {room: height for height, storey in enumerate(STOREYS) for room in storey}

# What people import by name is gathered here, and imported when it is first used; the first two from above, too.
FROM_ABOVE = {"attnkit", "attnkit.training"}
FACADES = {*FROM_ABOVE, "attnkit.models", "attnkit.text", "attnkit.vision"}

# Models by name are converted when they have come: this module alone looks up into `interop` for the room `hub`.
DOORS = {"attnkit.hub.conversion"}

# These are programs: they use attnkit as its users do.
PROGRAMS = {"attnkit.__main__", "attnkit.benchmark", "attnkit.demo", "attnkit.explore"}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def is_program(module: str) -> bool:
    return any(module == program or module.startswith(program + ".") for program in PROGRAMS)


def broken_rules(texts: Mapping[str, str]) -> list[str]:
    """Every import that the plan does not allow, in words."""
    found = imports_of(texts)
    return [
        *(f"{each}: a library knows no command" for each in found if downwards(each)),
        *(f"{each}: a room imports from below" for each in found if upwards(each)),
        *(f"{each}: library files import modules, not the facade" for each in found if through_the_facade(each)),
        *(f"{each}: a task knows no other, and what they share knows none" for each in found if between_tasks(each)),
        *(f"a circle: {', '.join(circle)}" for circle in circles(found)),
    ]


def downwards(each: Import) -> bool:
    return each.imported.split(".")[0] == "cli" and each.importer.split(".")[0] != "cli"


def upwards(each: Import) -> bool:
    if each.importer.split(".")[0] == "cli" or each.importer in FROM_ABOVE or each.imported.split(".")[0] == "cli":
        return False
    if each.imported == "attnkit" or each.importer in DOORS:
        return False
    above, below = room(each.importer), room(each.imported)
    return above != below and not is_program(each.importer) and HEIGHT[below] >= HEIGHT[above]


def through_the_facade(each: Import) -> bool:
    library = each.importer.split(".")[0] == "attnkit" and not is_program(each.importer)
    return library and each.imported in FACADES and each.importer not in FACADES


def between_tasks(each: Import) -> bool:
    importer, imported = each.importer.split("."), each.imported.split(".")
    if (
        importer[:2] != ["attnkit", "tasks"]
        or imported[:2] != ["attnkit", "tasks"]
        or min(map(len, (importer, imported))) < 3
    ):
        return False
    is_folder = (ROOT / "attnkit" / "tasks" / importer[2]).is_dir() and (
        ROOT / "attnkit" / "tasks" / imported[2]
    ).is_dir()
    return is_folder and imported[2] not in ("shared", importer[2])


def test_the_plan_holds() -> None:
    assert broken_rules(sources()) == []


def test_every_room_has_its_storey() -> None:
    rooms = {room(name) for name in sources() if name.startswith("attnkit.")} - {"__main__"}
    assert rooms == HEIGHT.keys() - {name.removeprefix("attnkit.") for name in EXTENSIONS}


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("attnkit.training.trainer", "from attnkit.text import BOS", "a room imports from below"),
        ("attnkit.training.trainer", "def f():\n    from attnkit.tasks.run import train", "a room imports from below"),
        ("attnkit.vision.loader", "import attnkit.text.corpus", "a room imports from below"),
        ("attnkit.nn.linear", "from attnkit.models import vit", "a room imports from below"),
        ("attnkit.hub.obtain", "from attnkit.interop import convert", "a room imports from below"),
        ("attnkit.files", "from attnkit import tensor", "library files import modules, not the facade"),
        ("attnkit.interop.marian", "from attnkit.models import build_model", "library files import modules, not the"),
        ("attnkit.nn.linear", "import attnkit", "library files import modules, not the facade"),
        ("attnkit.files", "import cli.main", "a library knows no command"),
        ("attnkit.nn.linear", "from attnkit.nn.transformer import TransformerEncoder", "a circle: "),
        ("attnkit.tasks.caption.config", "from attnkit.tasks.translate import config", "a task knows no other"),
        ("attnkit.tasks.shared.checks", "from attnkit.tasks.caption import config", "a task knows no other"),
    ],
)
def test_it_sees_what_breaks_it(module: str, line: str, complaint: str) -> None:
    texts = sources()
    broken = broken_rules({**texts, module: f"{texts[module]}\n{line}\n"})
    assert any(complaint in rule and (module in rule) for rule in broken), broken


# ----- C++


INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^">]+)[">]', re.MULTILINE)

# What the files of a folder may include of the project, beside their own folder's.
HEADERS = {
    "cpp/include/attnkit/kernels": r"attnkit/kernels/|attnkit/(random|check|cpu|threads|allocator|precision)\.h",
    "cpp/base": r"attnkit/(allocator|check|cpu|profile|random|threads)\.h|base/",
    "cpp/kernels": (
        r"attnkit/kernels/|attnkit/(allocator|c_api|check|cpu|profile|random|threads)\.h|kernels/|gemm/|attention/"
    ),
    "cpp/autograd": r"attnkit/|base/",
    "cpp/ops": r"attnkit/|ops/|kernels/",
    "src": r"attnkit/|[\w-]+\.h$",
}


def foreign_includes(folder: str, texts: Mapping[Path, str]) -> list[str]:
    """The includes of these files that the plan does not allow in this folder. Other libraries' do not count, but
    Python's, which cpp/ must not know."""
    wrong = []
    for path, text in texts.items():
        for header in INCLUDE.findall(text):
            if folder.startswith("cpp") and re.match(r"Python\.h|pybind11/|numpy/", header):
                wrong.append(f"{path}: {header}")
            ours = header.startswith(("attnkit/", "base/", "kernels/", "autograd/", "ops/", "cpp/"))
            if ours and not re.match(HEADERS[folder], header):
                wrong.append(f"{path}: {header}")
    return wrong


def sources_in(folder: str) -> dict[Path, str]:
    files = [path for path in (ROOT / folder).rglob("*") if path.suffix in (".cc", ".h", ".inc", ".pyx", ".pxd")]
    # What only tests see has private headers: src/pybind/testing.
    return {path.relative_to(ROOT): path.read_text("utf-8") for path in files if "testing" not in path.parts}


@pytest.mark.parametrize("folder", HEADERS)
def test_includes_point_down(folder: str) -> None:
    texts = sources_in(folder)
    assert texts and foreign_includes(folder, texts) == []


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("cpp/kernels", '#include "attnkit/tensor.h"'),
        ("cpp/kernels", "#include <pybind11/pybind11.h>"),
        ("cpp/base", '#include "attnkit/kernels/gemm.h"'),
        ("src", '#include "kernels/dispatch.h"'),
    ],
)
def test_it_sees_an_include_that_points_up(folder: str, line: str) -> None:
    assert foreign_includes(folder, {Path("new.cc"): line})
