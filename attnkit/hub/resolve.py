"""The one door: a path stays what it is, a name becomes the folder of a model, which is fetched if it must be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnkit.hub.cache import Kept
    from attnkit.hub.names import Name


def resolve(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    offline: bool | None = None,
    say: Callable[[str], None] | None = None,
) -> Path:
    """The folder of the model that is called `model`. A folder that exists is itself, and so is what can only be a path
    (`attnkit.hub.names.parse`), whether there is anything or not.

    revision: as behind an `@`, of a name. offline: nothing is asked or fetched; None takes what the environment says.
    say: gets a line for what is worth knowing, such as the licence of what is fetched; None writes it to stderr.

    Raises FileNotFoundError, ValueError or OSError, in a line that says what to do; without a network that is what to
    fetch by hand, and where to put it.
    """
    if not os.path.exists(model):
        from attnkit.hub.names import parse

        if (name := parse(model, revision)) is not None:
            return _located(name, is_offline(offline), say).model
    if revision is not None:
        raise ValueError(f"[hub] {os.fspath(model)}: expected a name, whose revision is {revision}, got a path")
    return Path(model)


def pull(
    model: str,
    *,
    revision: str | None = None,
    offline: bool | None = None,
    say: Callable[[str], None] | None = None,
) -> Kept:
    """The model of that name as it is now elsewhere: what is here is replaced where it is not the same any more.
    Arguments and errors are those of `resolve`; a path is a ValueError."""
    from attnkit.hub.names import parse

    if (name := parse(model, revision)) is None:
        raise ValueError(f"[pull] {os.fspath(model)}: expected a name, en-de or org/name, got a path")
    return _located(name, is_offline(offline), say, anew=True)


def is_offline(chosen: bool | None = None) -> bool:
    """What is chosen, or else what the environment says."""
    if chosen is not None:
        return chosen
    said = (os.environ.get("ATTNKIT_OFFLINE", ""), os.environ.get("HF_HUB_OFFLINE", ""))
    return any(value.lower() in ("1", "true", "yes", "on") for value in said)


def _located(name: Name, offline: bool, say: Callable[[str], None] | None, anew: bool = False) -> Kept:
    from attnkit.hub import cache
    from attnkit.hub.names import Pair

    if (offline or not anew) and (kept := cache.find(name)) is not None:
        return kept
    from attnkit.hub import obtain, progress

    note = say or progress.note
    with cache.alone(name, note):
        if not anew and (kept := cache.find(name)) is not None:  # by the process that we have waited for
            return kept
        return obtain.pair(name, offline, note) if isinstance(name, Pair) else obtain.repository(name, offline, note)
