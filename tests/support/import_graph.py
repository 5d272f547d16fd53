"""Who imports whom, read from the sources without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXTENSIONS = frozenset(f"attnkit.{name}" for name in ("_core", "_beam", "_batching", "_testing", "kernels"))


@dataclass(frozen=True)
class Import:
    """One module imports another. types_only: under TYPE_CHECKING."""

    importer: str
    imported: str
    types_only: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {self.imported}"


def sources() -> dict[str, str]:
    """The text of every module of attnkit and of cli by its dotted name; a package's is that of its __init__."""
    found = {}
    for package in ("attnkit", "cli"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def imports_of(texts: Mapping[str, str]) -> list[Import]:
    """Every import of one of these modules, or of a compiled one, by another, wherever in the file it stands."""
    packages = {name.rpartition(".")[0] for name in texts}
    modules = set(texts) | EXTENSIONS
    found = []
    for name, text in texts.items():
        for target, types_only in _named(ast.parse(text).body, name if name in packages else name.rpartition(".")[0]):
            module = target if target in modules else target.rpartition(".")[0]
            if module in modules and module != name:
                found.append(Import(name, module, types_only))
    return list(dict.fromkeys(found))


def _named(nodes: list[ast.stmt], package: str, types_only: bool = False) -> Iterator[tuple[str, bool]]:
    """What import statements name, absolute: "package.module" or "package.module.name"."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, types_only) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])
            yield from ((f"{base}.{alias.name}", types_only) for alias in node.names)
        else:
            checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for part in ("body", "handlers", "orelse", "finalbody"):
                inner = getattr(node, part, [])
                yield from _named(inner, package, types_only or (checking and part == "body"))


def circles(found: list[Import]) -> list[list[str]]:
    """Groups of modules each of which imports, over others, itself. Imports for types alone do not count."""
    graph: dict[str, list[str]] = {}
    for each in found:
        if not each.types_only:
            graph.setdefault(each.importer, []).append(each.imported)
    reach = {module: _reachable(module, graph) for module in graph}
    groups = {
        tuple(sorted(other for other in reach[module] if module in reach.get(other, ())))
        for module in graph
        if module in reach[module]
    }
    return [list(group) for group in sorted(groups)]


def _reachable(start: str, graph: Mapping[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(graph.get(start, ()))
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting.extend(graph.get(module, ()))
    return seen
