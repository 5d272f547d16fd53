"""Parts of a model by name, for training that treats them differently: what stays frozen, what learns more slowly."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from attnkit.nn.module import Module
from attnkit.printable import quoted


def freeze(model: Module, patterns: Sequence[str]) -> int:
    """Parameters that fit a pattern require no gradient any more; returns how many numbers they have. Raises ValueError
    for a pattern that none fits (see `find`)."""
    names = {name for pattern in patterns for name in find(model, pattern)}
    frozen = [parameter for name, parameter in model.named_parameters() if name in names]
    for parameter in frozen:
        parameter.requires_grad = False
    return sum(parameter.size for parameter in frozen)


def factors(model: Module, table: Mapping[str, float]) -> dict[str, float]:
    """The number of each parameter that fits a pattern of the table, by name; of several patterns the last one counts.
    Raises ValueError for a pattern that none fits."""
    return {name: factor for pattern, factor in table.items() for name in find(model, pattern)}


def find(model: Module, pattern: str) -> list[str]:
    """The names of the parameters that a pattern fits, itself or by the name of a module that they belong to: `encoder`
    and `encoder.*` are the whole encoder, `*.bias` every bias. A parameter that modules share is found by each of its
    names. Raises ValueError, with near names, where there is none.
    """
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    every = list(model.named_parameters(remove_duplicate=False))
    found = [
        first[id(parameter)] for name, parameter in every if any(fnmatchcase(one, pattern) for one in _prefixes(name))
    ]
    if not found:
        raise ValueError(f"expected a part of the model, got {quoted(pattern)}{_near([n for n, _ in every], pattern)}")
    return list(dict.fromkeys(found))


def _prefixes(name: str) -> Iterator[str]:
    """a, a.b and a.b.c of a.b.c."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _near(names: Sequence[str], pattern: str) -> str:
    every = dict.fromkeys(prefix for name in names for prefix in _prefixes(name))
    near = difflib.get_close_matches(pattern.strip("*."), every, n=3)
    tops = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
    return f" (did you mean {' or '.join(near)}?)" if near else f" (it has {tops})"
