"""Mozilla's registry of the translators of Firefox: what it lists, which release a pair means, and its files.

The facts are in docs/models.md, with their date.
"""

from __future__ import annotations

import difflib
import os
import re
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from attnkit import typed
from attnkit.hub import cache, fetch
from attnkit.hub.names import Pair, parse
from attnkit.printable import quoted, shortened
from attnkit.reading import MAX_FILE

BASE = "https://storage.googleapis.com/moz-fx-translations-data--303e-prod-translations-data"
LIST = "db/models.json"
LICENCE = "MPL-2.0"

# What a file may be called, by its role, and how large it may be; real models have 17 to 60 MB, the rest less.
_ROLES = {
    "model": (re.compile(r"model[\w.-]*\.bin(\.gz|\.zst)?", re.ASCII), 1 << 30),
    "lexicalShortlist": (re.compile(r"lex[\w.-]*\.bin(\.gz|\.zst)?", re.ASCII), 1 << 28),
    "vocab": (re.compile(r"vocab[\w.-]*\.spm(\.gz|\.zst)?", re.ASCII), 1 << 26),
    "srcVocab": (re.compile(r"srcvocab[\w.-]*\.spm(\.gz|\.zst)?", re.ASCII), 1 << 26),
    "trgVocab": (re.compile(r"trgvocab[\w.-]*\.spm(\.gz|\.zst)?", re.ASCII), 1 << 26),
}
_PATH = re.compile(r"[\w.+-]+(/[\w.+-]+)*", re.ASCII)
_PREFERRED = ("base-memory", "base", "tiny")  # of equal status: the better ones first
_NEAR = 4


class UnknownPair(ValueError):
    """The registry has no such pair, or no such architecture of it."""


class File(NamedTuple):
    """A file of a release. size, sha256: of its content, unpacked, where the registry says them; most: bytes that it
    may have, packed or not."""

    url: str
    name: str
    size: int | None
    sha256: str | None
    most: int


class Release(NamedTuple):
    """A translator as the registry lists it. status: "Release", "Release Desktop", "Release Android" or "Nightly"; None
    where Firefox does not ship it. metrics: scores on flores200-plus. default: whether the pair's name alone means
    it."""

    pair: Pair
    status: str | None
    files: tuple[File, ...]
    parameters: int | None
    metrics: dict[str, float]
    default: bool = False

    @property
    def size(self) -> int | None:
        """Bytes of what the registry gives a size for: the model itself."""
        return sum(file.size or 0 for file in self.files) or None


class Registry(NamedTuple):
    """generated: when, as it says itself. releases: those of each pair, the one that its name alone means first."""

    generated: str | None
    releases: dict[str, tuple[Release, ...]]

    def choose(self, pair: Pair) -> Release:
        """The release that a name means. Raises UnknownPair."""
        found = self.releases.get(pair.languages, ())
        if not found:
            raise UnknownPair(self._unknown(pair))
        if pair.architecture is None:
            return found[0]
        for release in found:
            if release.pair.architecture == pair.architecture:
                return release
        there = ", ".join(f"{release.pair}" for release in found)
        raise UnknownPair(f"{pair}: Mozilla's registry has no such architecture of this pair; it has {there}")

    def _unknown(self, pair: Pair) -> str:
        near = difflib.get_close_matches(pair.languages, self.releases, _NEAR, 0.5)
        back = f"{pair.target}-{pair.source}"
        near = [back, *(name for name in near if name != back)] if back in self.releases else near
        hint = f"; near it: {', '.join(near[:_NEAR])}" if near else ""
        return f"{pair}: no such directory, and no such pair in Mozilla's registry{hint} (attnkit models lists all)"


def base() -> str:
    """Where the registry is: $ATTNKIT_REGISTRY, or Mozilla's own. Raises ValueError for what is no web address."""
    chosen = os.environ.get("ATTNKIT_REGISTRY", "").rstrip("/")
    if chosen and not re.match(r"https?://[^/]", chosen):
        raise ValueError(f"ATTNKIT_REGISTRY: expected an address by http or https, got {quoted(chosen)}")
    return chosen or BASE


def address() -> str:
    return f"{base()}/{LIST}"


def list_file() -> Path:
    """Where the registry's list is kept, and where people may put it by hand."""
    mirror = "" if base() == BASE else f"-{zlib.crc32(base().encode()):08x}"
    return cache.root() / "registry" / f"mozilla{mirror}.json"


def ask() -> Registry:
    """The registry as it is now. Raises what `fetch` does, and ValueError where that is none."""
    file = list_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with cache.alone("registry", lambda text: None):
        arriving = file.with_name(f"{file.name}.new")
        fetch.fetch(address(), arriving, MAX_FILE)
        try:
            registry = _read(arriving, address())
        except ValueError:
            arriving.unlink()
            raise
        os.replace(arriving, file)
    return registry


def remembered() -> Registry | None:
    """The registry as it was when it was last asked, or as somebody put it there; None where it never was. Raises
    ValueError where the file is broken."""
    file = list_file()
    return _read(file, str(file)) if file.exists() else None


def _read(file: Path, called: str) -> Registry:
    from attnkit.hub.conversion import unpacked

    try:
        table = typed.from_json(unpacked(file, MAX_FILE), _Table)
    except (msgspec.DecodeError, ValueError) as error:
        raise ValueError(f"{called}: expected Mozilla's registry of models ({shortened(str(error), 200)})") from None
    address = base() if base() != BASE else table.base_url.rstrip("/")
    if not re.match(r"https?://[^/]", address):
        raise ValueError(f"{called}: expected a baseUrl by http or https, got {quoted(address)}")
    found = [_releases_of(name, entries, address) for name, entries in table.models.items()]
    releases = {name: some for name, some in sorted((some[0].pair.languages, some) for some in found if some)}
    if not releases:
        raise ValueError(f"{called}: expected Mozilla's registry of models, got one without any")
    return Registry(table.generated, releases)


# ----- The list as it is published


class _Table(msgspec.Struct, rename="camel"):
    base_url: str
    models: dict[str, list[Any]]
    generated: str | None = None


class _File(msgspec.Struct, rename="camel"):
    path: str
    uncompressed_size: int | None = None
    uncompressed_hash: str | None = None


class _Statistics(msgspec.Struct):
    parameters: int | None = None


class _Entry(msgspec.Struct, rename="camel"):
    architecture: str
    source_language: str
    target_language: str
    files: dict[str, _File]
    release_status: str | None = None
    model_statistics: _Statistics | None = None
    metrics: dict[str, dict[str, float | None]] = {}


def _releases_of(name: str, entries: list[Any], address: str) -> tuple[Release, ...]:
    """Those that can be had. An entry that is no model is passed over: the others are none the worse for it."""
    found = [release for entry in entries if (release := _release(name, entry, address)) is not None]
    found.sort(key=_rank)
    return tuple(release._replace(default=place == 0) for place, release in enumerate(found))


def _rank(release: Release) -> tuple[bool, bool, int]:
    """Released ones first, of these what Firefox has on a desktop, then by architecture."""
    status = release.status or ""
    known = release.pair.architecture in _PREFERRED
    return (
        not status.startswith("Release"),
        status == "Release Android",
        _PREFERRED.index(str(release.pair.architecture)) if known else len(_PREFERRED),
    )


def _release(name: str, raw: Any, address: str) -> Release | None:
    try:
        entry = typed.convert(raw, _Entry)
        pair = parse(name, entry.architecture)
        files = tuple(_file(role, file, address) for role, file in entry.files.items() if role in _ROLES)
    except (msgspec.ValidationError, ValueError):
        return None
    roles = entry.files.keys()
    whole = "model" in roles and ("vocab" in roles or {"srcVocab", "trgVocab"} <= roles)
    if not isinstance(pair, Pair) or not whole:
        return None
    return Release(
        pair=pair,
        status=entry.release_status,
        files=files,
        parameters=entry.model_statistics.parameters if entry.model_statistics else None,
        metrics={key: score for key, score in entry.metrics.get("flores200-plus", {}).items() if score is not None},
    )


def _file(role: str, file: _File, address: str) -> File:
    """Raises ValueError for a path that is none, and for a name that its role does not have: no file leaves its
    folder."""
    names, most = _ROLES[role]
    name = file.path.rpartition("/")[2]
    size, sha256 = file.uncompressed_size, file.uncompressed_hash
    if not _PATH.fullmatch(file.path) or ".." in file.path or not names.fullmatch(name):
        raise ValueError(f"expected the path of a {role}, got {quoted(file.path)}")
    if size is not None and not 0 < size <= most:
        raise ValueError(f"expected a {role} of at most {most:,} bytes, got {size:,}")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"expected a SHA-256, got {quoted(sha256)}")
    slack = 1 << 16  # what does not shrink grows a little when it is packed
    return File(f"{address}/{file.path}", name, size, sha256 and sha256.lower(), most if size is None else size + slack)
