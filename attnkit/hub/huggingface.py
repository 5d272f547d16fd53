"""What a repository of the Hugging Face Hub has for us: the files that conversion reads, checked, in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from attnkit import typed
from attnkit.hub import huggingface_cache as cached
from attnkit.hub.huggingface_errors import NotReached, by_hand, library
from attnkit.hub.huggingface_files import CONFIG, MODEL_TYPES, PICKLE, Files
from attnkit.hub.huggingface_remote import BOT, Listing, Remote
from attnkit.printable import quoted
from attnkit.reading import read_file

_PART = r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(f"{_PART}/{_PART}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w+-]*(?:[./][\w+-]+)*", re.ASCII)


class Snapshot(NamedTuple):
    """folder: the model's files, for `attnkit.interop.convert`. revision: the commit that was asked for. licence: what
    the model's card names."""

    folder: Path
    revision: str
    licence: str | None


class _Config(msgspec.Struct):
    model_type: Any = None


def snapshot(repo: str, revision: str | None, *, offline: bool, say: Callable[[str], None]) -> Snapshot:
    """Fetches what conversion reads of the repository `org/name`, at a branch, tag or commit (None: main), into the
    cache of huggingface_hub; what is there already is not fetched again.

    Weights are safetensors where there are any: in that revision, or else on a pull request of the Hub's own bot whose
    safetensors were made of that revision's weights. The conversion service is never asked. offline: nothing is asked
    at all, and the cache must have it; so too with HF_HUB_OFFLINE. say: is given lines for people.

    Raises ValueError for a name that is none, or a repository that has no model that can be read; FileNotFoundError,
    PermissionError, ConnectionError, ModuleNotFoundError or OSError, with a line that says what to do next.
    """
    check_repository(repo)
    check_revision(revision)
    hub, named = library(repo), revision or "main"
    cache = cached.Cache(hub.constants.HF_HUB_CACHE, repo)
    if offline or hub.constants.HF_HUB_OFFLINE:
        found = _held(cache, named)
        if found is None:
            raise FileNotFoundError(
                f"[hub] {repo}: {cache.folder} does not have {named} whole, and nothing is fetched offline (--offline, "
                f"HF_HUB_OFFLINE); fetch it once with a network, or "
                f"{by_hand(hub.constants.ENDPOINT, repo, named)}"
            )
        return found
    try:
        return _fetched(Remote(hub, repo), cache, named, say)
    except NotReached as error:
        found = _held(cache, named)
        if found is None:
            raise
        reason = str(error).split(";")[0].removeprefix(f"[hub] {repo}: ")
        say(f"{repo}: {reason}; the copy of {named} that is here is used")
        return found


def check_repository(repo: str) -> None:
    """Raises ValueError unless it is org/name, as the Hub allows them."""
    if not _REPOSITORY.fullmatch(repo) or "--" in repo or ".." in repo or repo.endswith(".git"):
        raise ValueError(f"[hub] expected a repository's name such as Helsinki-NLP/opus-mt-en-de, got {quoted(repo)}")


def check_revision(revision: str | None) -> None:
    """Raises ValueError unless it can be a branch, a tag or a commit, and the name of a file in a folder of refs."""
    if revision is not None and (not _REVISION.fullmatch(revision) or len(revision) > 200):
        raise ValueError(f"[hub] expected a revision: a branch, a tag or a commit, got {quoted(revision)}")


def _fetched(remote: Remote, cache: cached.Cache, revision: str, say: Callable[[str], None]) -> Snapshot:
    listing = remote.listing(revision)
    files = listing.chosen()
    if files is None:
        raise _foreign(remote.repo, listing.kind)
    # What lies beside the weights comes first: a folder that has weights has all.
    remote.fetch(listing, files.beside)
    folder = cache.snapshot(listing.commit)
    _check_type(remote.repo, folder, files, listing.kind)
    converted = remote.converted(listing, files.weights) if files.form == PICKLE else None
    if converted is None:
        if files.form == PICKLE:
            say(f"{remote.repo}: no safetensors, nor a pull request of {BOT}'s made of these weights; a pickle is read")
        remote.fetch(listing, files.weights, say)
    else:
        folder = _mixed(remote, cache, listing, files, converted, say)
    cache.remember(revision, listing.commit)
    return Snapshot(folder, listing.commit, cached.licence(folder))


def _mixed(
    remote: Remote, cache: cached.Cache, listing: Listing, files: Files, converted: tuple[str, Listing],
    say: Callable[[str], None],
) -> Path:  # fmt: skip
    """The weights of the pull request, and all else of the revision that was asked for, which may be newer."""
    reference, other = converted
    chosen = other.chosen()
    assert chosen is not None
    say(f"{remote.repo}: the weights are {reference}'s, safetensors that {BOT} made of this revision's")
    remote.fetch(other, chosen.weights, say)
    cache.remember(reference, other.commit)  # or `hf cache prune` takes them for left over
    return cache.mix(listing.commit, files.beside, other.commit, chosen.weights)


def _held(cache: cached.Cache, revision: str) -> Snapshot | None:
    """What the cache has of a revision, with the choice of weights that was made when it was fetched."""
    commit = cache.commit(revision)
    folder = cache.find(commit) if commit else None
    files = cached.files_in(folder) if folder else None
    if commit is None or folder is None or files is None:
        return None
    if path := cached.damaged(folder, (*files.beside, *files.weights)):
        raise OSError(f"[hub] {path}: its content is not what its digest says; fetch it again with a network")
    return Snapshot(folder, commit, cached.licence(folder))


def _check_type(repo: str, folder: Path, files: Files, kind: str) -> None:
    """A CTranslate2 directory's config.json, and Marian's own files, name no type."""
    if CONFIG not in files.beside:
        return
    try:
        model_type = typed.from_json(read_file(folder / CONFIG), _Config).model_type
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"[hub] {repo}: expected JSON in {CONFIG} ({error})") from None
    if model_type is not None and model_type not in MODEL_TYPES:
        raise _foreign(repo, f"model_type {quoted(model_type)}" if "model_type" not in kind else kind)


def _foreign(repo: str, kind: str) -> ValueError:
    return ValueError(
        f"[hub] {repo}: expected a model whose model_type is one of {', '.join(MODEL_TYPES)}, with safetensors or "
        f"pytorch_model.bin, or a directory of CTranslate2's, got {quoted(kind, 200).strip(chr(34))}"
    )
