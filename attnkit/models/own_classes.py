"""Classes of the user's own that a configuration names, as "module:Class".

A model directory may come from anybody, so that a name in it imports nothing: the module is one that the program has
imported, or that its user names in ATTNKIT_IMPORT.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TypeVar

from attnkit.nn.module import Module

M = TypeVar("M", bound=Module)

VARIABLE = "ATTNKIT_IMPORT"


def own_class(name: str, base: type[M], key: str) -> type[M]:
    """The class of that name. key: the configuration's, for messages.

    Raises ValueError where its module is not imported and not in ATTNKIT_IMPORT (modules, a comma between; the current
    directory counts), has no such class, or the class is no `base`.
    """
    module, _, attribute = name.partition(":")
    if module not in sys.modules:
        _import(module, key)
    found = getattr(sys.modules[module], attribute, None)
    if not isinstance(found, type) or not issubclass(found, base):
        raise ValueError(f"{key}: expected a subclass of nn.{base.__name__} in {module}, got {attribute}")
    return found


def _import(module: str, key: str) -> None:
    allowed = [each.strip() for each in os.environ.get(VARIABLE, "").split(",")]
    if module not in allowed:
        raise ValueError(f"{key}: expected {module} imported first, or named by {VARIABLE}={module} if you trust it")
    before = list(sys.path)
    sys.path.insert(0, os.getcwd())
    try:
        import_module(module)
    except ImportError as error:
        raise ValueError(f"{key}: expected a module {module} to import, got: {error}") from error
    finally:
        sys.path[:] = before
