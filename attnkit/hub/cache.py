"""Where models that came by name are kept, and what is known of each: folders under $XDG_CACHE_HOME/attnkit.

    models/<kind>/<name>/<release>/model/         a model directory, as any other
    models/<kind>/<name>/<release>/origin.json    where it came from
    downloads/<kind>/<name>/                      files on their way here, and those that people put there by hand
    registry/                                     what a registry said last
    locks/                                        files that have no content, for the locks on them

A release appears whole, by a rename; where several processes want it, one works and the others wait.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from attnkit import files, typed
from attnkit.hub.names import Name, Pair
from attnkit.reading import read_file

Kind = Literal["mozilla", "huggingface"]
Say = Callable[[str], None]

MODEL, ORIGIN = "model", "origin.json"
_MOST = 1 << 20  # bytes of an origin.json


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model came from.

    name: how it is called, without a revision. revision: an architecture of Mozilla's, a commit of the Hub. requested:
    the revisions that it was asked for by; None stands for none. source: the address. digests: the SHA-256 of each file
    that it was made of, unpacked. fetched: when, in seconds since 1970.
    """

    name: str
    kind: Kind
    revision: str
    requested: tuple[str | None, ...]
    licence: str | None
    source: str
    digests: dict[str, str]
    fetched: float


class Kept(msgspec.Struct, frozen=True):
    """A model that is here. release: its folder, in which the model directory lies."""

    origin: Origin
    release: Path

    @property
    def model(self) -> Path:
        return self.release / MODEL

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.model.iterdir() if file.is_file())


def root() -> Path:
    """$XDG_CACHE_HOME/attnkit, or ~/.cache/attnkit."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "attnkit"


def kind_of(name: Name) -> Kind:
    return "mozilla" if isinstance(name, Pair) else "huggingface"


def called(name: Name) -> str:
    """A name without its revision."""
    return name.languages if isinstance(name, Pair) else name.path


def revision_of(name: Name) -> str | None:
    return name.architecture if isinstance(name, Pair) else name.revision


def downloads(name: Name) -> Path:
    """The folder of the files of a model that are on their way, or were put there by hand."""
    return root() / "downloads" / kind_of(name) / _folder(name)


def find(name: Name) -> Kept | None:
    """The model of that name that is here, if there is one: the latest that answers to its revision, or, where it has
    none, that was fetched without one."""
    wanted = revision_of(name)
    return max(
        (kept for kept in releases(name) if _answers(kept.origin, wanted)),
        key=lambda kept: kept.origin.fetched,
        default=None,
    )


def releases(name: Name) -> list[Kept]:
    """All of that name that are here, whatever its revision."""
    return _releases(home(name))


def here() -> list[Kept]:
    """All that is here, sorted by name."""
    found = [kept for folder in (root() / "models").glob("*/*") for kept in _releases(folder)]
    return sorted(found, key=lambda kept: (kept.origin.kind != "mozilla", kept.origin.name, kept.origin.revision))


@contextmanager
def alone(what: Name | str, say: Say) -> Iterator[None]:
    """One process at a time for this name; another waits, and says so. Where the file system has no locks, nobody
    waits: a model appears whole all the same."""
    folder = root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    file = what if isinstance(what, str) else f"{kind_of(what)}-{_folder(what)}"
    descriptor = os.open(folder / file, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"{what}: waiting for another process that fetches it")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def keep(name: Name, origin: Origin, make: Callable[[Path], object]) -> Kept:
    """Keeps what `make` makes in the folder that it is given, under a name of its own, with its origin; earlier
    releases that it replaces go. For who has the lock of `alone`."""
    release = home(name) / f"{origin.revision[:40]}-{os.urandom(4).hex()}"
    files.remove_leftovers(home(name))
    with files.atomic_folder(release) as folder:
        make(folder / MODEL)
        _write(origin, folder)
    kept = Kept(origin, release)
    for other in releases(name):
        if other.release != release:
            _give_way(other, origin)
    return kept


def also(kept: Kept, requested: str | None) -> Kept:
    """The same model, which from now on answers to this request too."""
    if requested in kept.origin.requested:
        return kept
    return _say_anew(kept, (*kept.origin.requested, requested))


def forget(kept: Kept) -> None:
    """Removes a release. Its origin goes first: without one, it is none."""
    with suppress(FileNotFoundError):
        os.unlink(kept.release / ORIGIN)
    shutil.rmtree(kept.release, ignore_errors=True)


def clear(folder: Path) -> None:
    """Removes downloads that are no longer needed."""
    shutil.rmtree(folder, ignore_errors=True)


def _answers(origin: Origin, wanted: str | None) -> bool:
    if wanted is None:
        return None in origin.requested
    commit = origin.kind == "huggingface" and len(wanted) >= 7 and origin.revision.startswith(wanted)
    return commit or wanted == origin.revision or wanted in origin.requested


def _give_way(old: Kept, new: Origin) -> None:
    """What answers to the same requests as a newer one goes; what answers to others too keeps those."""
    left = tuple(each for each in old.origin.requested if each not in new.requested)
    if not left or old.origin.revision == new.revision:
        forget(old)
    elif left != old.origin.requested:
        _say_anew(old, left)


def _say_anew(kept: Kept, requested: tuple[str | None, ...]) -> Kept:
    origin = msgspec.structs.replace(kept.origin, requested=requested)
    _write(origin, kept.release)
    return Kept(origin, kept.release)


def _write(origin: Origin, folder: Path) -> None:
    with files.atomic_write(folder / ORIGIN, "w") as file:
        file.write(json.dumps(msgspec.to_builtins(origin), indent=2, ensure_ascii=False) + "\n")


def home(name: Name) -> Path:
    """The folder of all releases of that name."""
    return root() / "models" / kind_of(name) / _folder(name)


def _folder(name: Name) -> str:
    """A name of the Hub has a slash, and no two hyphens in a row."""
    return called(name).replace("/", "--")


def _releases(folder: Path) -> list[Kept]:
    """Those that are whole. A stranger's file among them is none of ours, and is passed over."""
    return [kept for release in sorted(folder.glob("*")) if (kept := _read(release)) is not None]


def _read(release: Path) -> Kept | None:
    if release.name.startswith("."):
        return None
    try:
        origin = typed.from_json(read_file(release / ORIGIN, _MOST), Origin)
    except (OSError, ValueError):
        return None
    return Kept(origin, release) if (release / MODEL).is_dir() else None
