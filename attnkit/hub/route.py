"""Pairs that nobody has a translator for, but English has one to each side of."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from attnkit.hub.resolve import is_offline

if TYPE_CHECKING:
    from attnkit.hub.mozilla import Registry

_BETWEEN = "en"


def through_english(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    offline: bool | None = None,
    say: Callable[[str], None] | None = None,
) -> tuple[str, str] | None:
    """The names of two translators that together are the one that `model` names: "de-en" and "en-pt" for "de-pt".

    None where `model` is a folder or no pair, has English on a side, or is to be had directly, and where English does
    not lead there either. Mozilla's registry is asked only where neither the pair nor both others are here. Arguments
    are those of `resolve`. Raises what asking the registry does.
    """
    if os.path.exists(model):
        return None
    from attnkit.hub import cache
    from attnkit.hub.names import Pair, parse

    name = parse(model, revision)
    if not isinstance(name, Pair) or _BETWEEN in (name.source, name.target):
        return None
    if cache.find(name) is not None:
        return None
    first = Pair(name.source, _BETWEEN, name.architecture)
    second = Pair(_BETWEEN, name.target, name.architecture)
    here = all(cache.find(leg) is not None for leg in (first, second))
    registry = _registry(asks=not (here or is_offline(offline)))
    if registry is not None and name.languages in registry.releases:
        return None
    listed = registry is not None and all(leg.languages in registry.releases for leg in (first, second))
    return (str(first), str(second)) if here or listed else None


def _registry(asks: bool) -> Registry | None:
    """As it is, or as it was when it was last asked."""
    from attnkit.hub import fetch, mozilla

    try:
        if asks:
            return mozilla.ask()
    except fetch.Unreachable:
        pass
    return mozilla.remembered()
