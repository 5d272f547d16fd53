"""Facades: packages that name what people import, and import it when it is first used.

So a translator starts without what captioners need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from sys import modules
from typing import Any


def lazily(
    package: str, names: Mapping[str, tuple[str, ...]], public: Sequence[str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package (PEP 562): `names` of modules, imported from them when first asked for,
    and attributes like others from then on. The package's own modules are attributes too. `public`: what `dir` lists,
    where that is more than the names."""
    home = {name: module for module, theirs in names.items() for name in theirs}

    def get(name: str) -> Any:
        if name in home:
            found = getattr(import_module(home[name]), name)
            setattr(modules[package], name, found)
            return found
        module = f"{package}.{name}"
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return get, lambda: sorted(public or home)
