"""How a model comes here: what it is made of is fetched, checked and converted, and is then kept whole."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from attnkit.hub import cache, conversion, fetch, mozilla, progress
from attnkit.hub.cache import Kept, Origin, Say
from attnkit.hub.names import Pair, Repository
from attnkit.reading import open_regular


def pair(name: Pair, offline: bool, say: Say) -> Kept:
    """A translator of Mozilla's registry. For who has the lock of its name."""
    try:
        release, silence = _chosen(name, offline)
    except fetch.Unreachable as error:
        return _anything(name, say, error)
    folder = cache.downloads(name)
    if (kept := _same(name, release)) is not None:
        if silence is not None:
            say(f"{name}: {silence}; what is here is what Mozilla's registry said last")
        return kept
    files = {file: _here(folder, file, strict=silence is not None) for file in release.files}
    missing = [file for file, path in files.items() if path is None]
    if missing and silence is not None:
        return _anything(name, say, fetch.Unreachable(_by_hand(name, missing, folder, silence)))
    _announce(release, say)
    folder.mkdir(parents=True, exist_ok=True)
    for file in missing:
        files[file] = _fetched(name, file, missing, folder)
    found = {file: path for file, path in files.items() if path is not None}
    digests = {file.name: _checked(file, path) for file, path in found.items()}
    origin = Origin(
        name=name.languages,
        kind="mozilla",
        revision=str(release.pair.architecture),
        requested=(name.architecture,),
        licence=mozilla.LICENCE,
        source=release.files[0].url.rpartition("/")[0],
        digests=digests,
        fetched=time.time(),
    )
    kept = cache.keep(name, origin, lambda target: _converted(folder, found, target, say))
    cache.clear(folder)
    return kept


def repository(name: Repository, offline: bool, say: Say) -> Kept:
    """A model of the Hugging Face Hub. For who has the lock of its name."""
    from attnkit.hub.huggingface import snapshot  # type: ignore[import-not-found, import-untyped, unused-ignore]

    try:
        found = snapshot(name.path, name.revision, offline=offline, say=say)
    except (OSError, ValueError, ModuleNotFoundError) as error:
        if getattr(error, "errno", None) is not None or getattr(error, "name", None) is not None:
            raise  # of this machine: what is said of it names a file, or a module
        said = str(error).removeprefix("[hub] ").removeprefix(f"{name.path}: ")
        raise FileNotFoundError(f"{name}: no such directory, and not to be had from the Hub: {said}") from error
    for kept in cache.releases(name):
        if kept.origin.revision == found.revision:
            return cache.also(kept, name.revision)
    say(f"{name}: revision {found.revision}, licence {found.licence or 'not stated'}; it is converted once")
    folder = Path(found.folder)
    files = sorted(path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file())
    origin = Origin(
        name=name.path,
        kind="huggingface",
        revision=found.revision,
        requested=(name.revision,),
        licence=found.licence,
        source=f"hf://{name.path}@{found.revision}",
        digests={path.relative_to(folder).as_posix(): _digest(path) for path in files},
        fetched=time.time(),
    )

    def make(target: Path) -> None:
        for line in conversion.convert(folder, target):
            say(line)

    return cache.keep(name, origin, make)


def _digest(path: Path) -> str:
    """In pieces: weights may be larger than the memory."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _chosen(name: Pair, offline: bool) -> tuple[mozilla.Release, str | None]:
    """The release that the name means, and None. Without a network that of the registry as it was, since files may lie
    here by hand, and why the registry was not asked."""
    try:
        if offline:
            raise fetch.Unreachable("offline")
        return mozilla.ask().choose(name), None
    except fetch.Unreachable as error:
        known = mozilla.remembered()
        if known is None:
            raise fetch.Unreachable(
                f"{name}: no such directory, and Mozilla's registry cannot be asked ({error}): fetch "
                f"{mozilla.address()} by hand and put it there as {mozilla.list_file()}"
            ) from None
        return known.choose(name), str(error)


def _anything(name: Pair, say: Say, error: fetch.Unreachable) -> Kept:
    """Without a network a pair is served by another architecture of it that is here, if none was asked for."""
    if (own := cache.find(name)) is not None:
        say(f"{name}: no network; what is here is taken")
        return own
    others = cache.releases(name) if name.architecture is None else []
    if not others:
        raise error
    kept = max(others, key=lambda kept: kept.origin.fetched)
    say(f"{name}: no network; {name}@{kept.origin.revision}, which is here, takes its place")
    return kept


def _same(name: Pair, release: mozilla.Release) -> Kept | None:
    """The release, if it is here already: its files have the digests that the registry says."""
    said = {file.name: file.sha256 for file in release.files if file.sha256 is not None}
    for kept in cache.releases(name):
        if kept.origin.revision == release.pair.architecture and said.items() <= kept.origin.digests.items() and said:
            return cache.also(kept, name.architecture)
    return None


def _announce(release: mozilla.Release, say: Say) -> None:
    status = release.status or "not released in Firefox"
    size = f", {release.size / 1e6:,.0f} MB" if release.size else ""
    say(f"{release.pair}: of Mozilla's registry ({status}{size}), licence {mozilla.LICENCE}")


def _here(folder: Path, file: mozilla.File, strict: bool) -> Path | None:
    """A file that was fetched before, or put there by hand: as it is published, or unpacked. One that is not what the
    registry says is fetched anew, or, where it cannot be (`strict`), a ValueError."""
    for path in (folder / file.name, folder / file.name.removesuffix(".gz").removesuffix(".zst")):
        if path.is_file():
            try:
                _checked(file, path)
            except ValueError:
                if strict:
                    raise
            else:
                return path
    return None


def _fetched(name: Pair, file: mozilla.File, missing: list[mozilla.File], folder: Path) -> Path:
    """The file, of the size and digest that the registry says. Raises Unreachable that says what to do by hand."""
    path = folder / file.name
    begun = path.with_name(path.name + fetch.PARTIAL).exists()
    try:
        with progress.bar(file.name) as advance:
            fetch.fetch(file.url, path, file.most, advance)
    except fetch.Unreachable as error:
        raise fetch.Unreachable(_by_hand(name, missing, folder, str(error))) from None
    try:
        _checked(file, path)
    except ValueError:
        path.unlink()
        if not begun:
            raise
        return _fetched(name, file, missing, folder)  # what an earlier attempt left may have been harmed since
    return path


def _by_hand(name: Pair, files: list[mozilla.File], folder: Path, reason: str) -> str:
    urls = " ".join(file.url for file in files)
    return f"{name}: no such directory, and it cannot be fetched ({reason}): fetch {urls} by hand into {folder}"


def _checked(file: mozilla.File, path: Path) -> str:
    """The SHA-256 of the content. Raises ValueError where it, or the size, is not what the registry says."""
    sha256, size = conversion.sha256_of(path, file.most)
    if file.sha256 is not None and sha256 != file.sha256:
        raise ValueError(f"[hub] {file.url}: {path.name} has the SHA-256 {sha256}, expected {file.sha256}")
    if file.size is not None and size != file.size:
        raise ValueError(f"[hub] {file.url}: {path.name} has {size:,} bytes, expected {file.size:,}")
    return sha256


def _converted(folder: Path, files: dict[mozilla.File, Path], target: Path, say: Say) -> None:
    """Of these files alone: another release may have left some of its own in the folder."""
    alone = target.with_name("files")
    alone.mkdir()
    for path in files.values():
        (alone / path.name).symlink_to(path)
    for line in conversion.convert(alone, target):
        say(line)
    cache.clear(alone)
