"""What the cache of huggingface_hub holds, read without its help and without a network.

models--org--name/ of a repository has blobs/ (files, named by their digests), snapshots/COMMIT/ (links to them, under
the names of the repository), refs/ (branches, each a file with a commit), and of attnkit mixed/COMMIT-OTHER/: links to
the files of one commit and the weights of another, where these are a conversion of the first one's.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from attnkit import typed
from attnkit.files import atomic_folder, atomic_write
from attnkit.hub.huggingface_files import CARD, Files, choose
from attnkit.reading import open_regular, read_file

COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MOST_LINKS = 8
_MIXED = "attnkit"


class _Index(msgspec.Struct):
    weight_map: dict[str, str]


class Cache:
    """The part of the cache in `folder` that belongs to the repository `org/name`."""

    def __init__(self, folder: str | os.PathLike[str], repo: str) -> None:
        self.folder = Path(folder).expanduser() / f"models--{repo.replace('/', '--')}"

    def commit(self, revision: str) -> str | None:
        """The commit that a branch, a tag or a commit's own name stood for when it was last fetched."""
        if COMMIT.fullmatch(revision):
            return revision
        try:
            commit = read_file(self.folder / "refs" / revision, 100).decode("ascii").strip()
        except (OSError, ValueError):
            return None
        return commit if COMMIT.fullmatch(commit) else None

    def remember(self, revision: str, commit: str) -> None:
        """Makes `revision` stand for `commit`. A cache that cannot be written stays as it is."""
        if COMMIT.fullmatch(revision):
            return
        with suppress(OSError):
            file = self.folder / "refs" / revision
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file, "w") as ref:
                ref.write(commit)

    def snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit

    def find(self, commit: str) -> Path | None:
        """The folder that has all of a model: the newest that was mixed for the commit, or its snapshot."""
        mixed = sorted((self.folder / _MIXED).glob(f"{commit}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
        return next((path for path in (*mixed, self.snapshot(commit)) if is_whole(path)), None)

    def mix(self, commit: str, beside: Iterable[str], other: str, weights: Iterable[str]) -> Path:
        """A folder of links to files of two snapshots, whole or not at all."""
        folder = self.folder / _MIXED / f"{commit}-{other}"
        files = {name: self.snapshot(commit) / name for name in beside}
        files |= {name: self.snapshot(other) / name for name in weights}
        if not _holds(folder, files):
            shutil.rmtree(folder, ignore_errors=True)
            try:
                with atomic_folder(folder) as new:
                    for name, file in files.items():
                        (new / name).parent.mkdir(exist_ok=True)
                        (new / name).symlink_to(os.path.relpath(file, (folder / name).parent))
            except OSError:
                if not _holds(folder, files):  # another process was quicker
                    raise
        return folder


def _holds(folder: Path, files: Iterable[str]) -> bool:
    return all((folder / name).is_file() for name in files)


def is_whole(folder: Path) -> bool:
    """Whether a folder has a model's weights, all shards of them. What lies beside them is fetched before them."""
    files = files_in(folder)
    return files is not None and all((folder / name).is_file() for name in _shards(folder, files))


def files_in(folder: Path) -> Files | None:
    """What a folder has for conversion; a link to what is gone is nothing."""
    found = (*folder.glob("*"), *folder.glob("*/*"))
    return choose(path.relative_to(folder).as_posix() for path in found if path.is_file())


def _shards(folder: Path, files: Files) -> set[str]:
    """The files that an index of weights names."""
    named: set[str] = set()
    for name in files.weights:
        if name.endswith(".index.json"):
            with suppress(msgspec.DecodeError):
                named |= set(typed.from_json(read_file(folder / name), _Index).weight_map.values())
    return {name for name in named if "/" not in name}


# ----- Digests


def is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def has_digest(path: Path, digest: str) -> bool:
    """Whether a file has this digest: of 64 digits SHA-256, as git-lfs has it; of 40 the SHA-1 of git's blob."""
    with open_regular(path) as file:
        of_git = hashlib.sha1(b"blob %d\0" % os.fstat(file.fileno()).st_size, usedforsecurity=False)
        sha = hashlib.sha256() if len(digest) == 64 else of_git
        while piece := file.read(1 << 20):
            sha.update(piece)
    return sha.hexdigest() == digest


def damaged(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of the files whose content is not what the name of its blob says; None where all are sound."""
    for name in names:
        digests = (step.name for step in _links(folder / name) if is_digest(step.name) and step.parent.name == "blobs")
        digest = next(digests, None)
        if digest is not None and not has_digest(folder / name, digest):
            return folder / name
    return None


def discard(path: Path) -> None:
    """Removes a file of a snapshot, and the blob that it links to."""
    for step in list(_links(path))[:2]:
        with suppress(OSError):
            step.unlink()


def _links(path: Path) -> Iterator[Path]:
    """A path and what it links to, step by step."""
    for _ in range(_MOST_LINKS):
        yield path
        if not path.is_symlink():
            return
        path = path.parent / path.readlink()


# ----- Licence


def licence(folder: Path) -> str | None:
    """The licence that the model's card names in its head."""
    from huggingface_hub import metadata_load
    from yaml import YAMLError

    try:
        if (folder / CARD).stat().st_size > 1 << 20:
            return None
        head = metadata_load(folder / CARD) or {}
    except (OSError, ValueError, YAMLError, RecursionError):
        return None
    named = head.get("license")
    if named == "other":
        named = head.get("license_name") or named
    names = named if isinstance(named, list) else [named]
    return ", ".join(name for name in names if isinstance(name, str)) or None
