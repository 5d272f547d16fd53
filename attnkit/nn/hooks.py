"""Forward hooks: what runs before and after a module's forward, to look at it or to change it from outside."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnkit.nn.module import Module

Hook = Callable[..., Any]
_numbers = itertools.count()


class RemovableHandle:
    """Takes a hook away again: by `remove()`, or at the end of a `with`."""

    def __init__(self, hooks: dict[int, tuple[Hook, bool]], number: int) -> None:
        self._hooks, self._number = hooks, number

    def remove(self) -> None:
        """May be called more than once."""
        self._hooks.pop(self._number, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class Hooks:
    """Those of one module, in the order in which they came: (hook, whether it takes the keyword arguments)."""

    def __init__(self) -> None:
        self.before: dict[int, tuple[Hook, bool]] = {}
        self.after: dict[int, tuple[Hook, bool]] = {}

    def call(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`module.forward` between its hooks."""
        for hook, with_kwargs in list(self.before.values()):
            args, kwargs = _arguments(hook, with_kwargs, module, args, kwargs)
        result = module.forward(*args, **kwargs)
        for hook, with_kwargs in list(self.after.values()):
            given = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            result = result if given is None else given
        return result


def add(hooks: dict[int, tuple[Hook, bool]], hook: Hook, with_kwargs: bool) -> RemovableHandle:
    """Puts a hook behind those that there are."""
    number = next(_numbers)
    hooks[number] = (hook, with_kwargs)
    return RemovableHandle(hooks, number)


def _arguments(
    hook: Hook, with_kwargs: bool, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    given = hook(module, args, kwargs) if with_kwargs else hook(module, args)
    if given is None:
        return args, kwargs
    if not with_kwargs:
        return (given if isinstance(given, tuple) else (given,)), kwargs
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], tuple) and isinstance(given[1], dict):
        return given
    raise TypeError(f"[hook] expected None or (args, kwargs) from a hook of {type(module).__name__}, got {given!r:.80}")
