"""What there is by name: the rows of `attnkit models`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from attnkit.hub import cache, fetch, mozilla
from attnkit.hub.cache import Kept
from attnkit.hub.mozilla import Registry, Release


class Row(NamedTuple):
    """A model by name. size: bytes, on disk where it is here, else of the model's file. status: of a pair, whether
    Firefox ships it. quality: scores on flores200-plus, as they are published. path: of what is here."""

    name: str
    kind: str
    revision: str
    default: bool
    status: str | None
    size: int | None
    licence: str | None
    quality: dict[str, float]
    here: bool
    path: str | None

    def as_dict(self) -> dict[str, Any]:
        return self._asdict()


def rows(say: Callable[[str], None], offline: bool) -> list[Row]:
    """Those of Mozilla's registry, and all that are here. offline: these alone. Where the registry cannot be asked,
    what it said last stands in, and `say` is told; raises OSError or ValueError where it never was asked."""
    kept = cache.here()
    if offline:
        return [_of_kept(each, _known(each)) for each in kept]
    registry = _registry(say)
    found, listed = [], set()
    for releases in registry.releases.values():
        for release in releases:
            own = _kept_of(release, kept)
            listed |= {each.release for each in own}
            found.append(_of_kept(own[-1], release) if own else _of_release(release))
    return found + [_of_kept(each, None) for each in kept if each.release not in listed]


def _registry(say: Callable[[str], None]) -> Registry:
    try:
        return mozilla.ask()
    except fetch.Unreachable as error:
        if (known := mozilla.remembered()) is None:
            raise fetch.Unreachable(f"{error}; attnkit models --here lists what is here") from None
        say(
            f"Mozilla's registry cannot be asked ({error}): this is what it said last, {known.generated or 'some time'}"
        )
        return known


def _known(kept: Kept) -> Release | None:
    """What the registry said of it, when it was asked last."""
    with suppress(OSError, ValueError):
        if kept.origin.kind == "mozilla" and (registry := mozilla.remembered()) is not None:
            releases = registry.releases.get(kept.origin.name, ())
            return next((each for each in releases if each.pair.architecture == kept.origin.revision), None)
    return None


def _kept_of(release: Release, kept: list[Kept]) -> list[Kept]:
    wanted = ("mozilla", release.pair.languages, release.pair.architecture)
    return [each for each in kept if (each.origin.kind, each.origin.name, each.origin.revision) == wanted]


def _of_release(release: Release) -> Row:
    return Row(
        name=release.pair.languages if release.default else str(release.pair),
        kind="mozilla",
        revision=str(release.pair.architecture),
        default=release.default,
        status=release.status,
        size=release.size,
        licence=mozilla.LICENCE,
        quality=release.metrics,
        here=False,
        path=None,
    )


def _of_kept(kept: Kept, release: Release | None) -> Row:
    origin = kept.origin
    default = None in origin.requested if release is None else release.default
    return Row(
        name=origin.name if default else f"{origin.name}@{origin.revision}",
        kind=origin.kind,
        revision=origin.revision,
        default=default,
        status=release.status if release else None,
        size=kept.bytes,
        licence=origin.licence,
        quality=release.metrics if release else {},
        here=True,
        path=str(kept.model),
    )
