"""A repository as the Hugging Face Hub has it now, by the package huggingface_hub."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from attnkit._version import __version__
from attnkit.hub import huggingface_cache as cached
from attnkit.hub.huggingface_errors import NotReached, by_hand, explained
from attnkit.hub.huggingface_files import CARD, SAFETENSORS, Files, choose

BOT = "SFconvertbot"
"""The Hub's own account that opens pull requests with safetensors."""

_MOST_REQUESTS = 5  # of the bot's, newest first: it opens one, and another where the first has become stale


class Entry(NamedTuple):
    """A file. digest: what git-lfs or git calls it by (`huggingface_cache.has_digest`)."""

    size: int
    digest: str


class Listing(NamedTuple):
    """The files of a commit by name. kind: what the Hub says of the model, for messages."""

    commit: str
    files: dict[str, Entry]
    kind: str

    def chosen(self) -> Files | None:
        return choose(self.files)

    def missing(self, names: Iterable[str], snapshot: Path) -> int:
        """Bytes of those of the files that a snapshot does not have."""
        return sum(self.files[name].size for name in names if not (snapshot / name).is_file())


class Remote:
    """org/name at HF_ENDPOINT, asked with the token of HF_TOKEN or of `hf auth login`."""

    def __init__(self, library: Any, repo: str) -> None:
        self.repo, self.constants, self._library = repo, library.constants, library
        self._api = library.HfApi(library_name="attnkit", library_version=__version__)

    def listing(self, revision: str) -> Listing:
        """Raises what `explained` makes of it, FileNotFoundError for an unknown revision."""
        with explained(self.repo, revision):
            info = self._api.model_info(
                self.repo, revision=revision, files_metadata=True, timeout=self.constants.HF_HUB_DOWNLOAD_TIMEOUT
            )
            files = {file.rfilename: _entry(file) for file in info.siblings}
            described = (("model_type", (info.config or {}).get("model_type")), ("library", info.library_name))
            kind = ", ".join(f"{name} {value!r}" for name, value in described if value) or "no word on what it is"
            listing = Listing(info.sha, {name: entry for name, entry in files.items() if entry}, kind)
        if not isinstance(listing.commit, str) or not cached.COMMIT.fullmatch(listing.commit):
            raise NotReached(
                f"[hub] {self.repo}: {self.constants.ENDPOINT} names no commit for {revision!r}, as the Hugging Face "
                f"Hub does; check HF_ENDPOINT, or {by_hand(self.constants.ENDPOINT, self.repo, revision)}"
            )
        return listing

    def conversions(self) -> list[int]:
        """The numbers of the bot's pull requests, newest first, but those that the repository's owner closed."""
        with explained(self.repo, "main"), self._bounded_wait():
            found = self._api.get_repo_discussions(
                self.repo, author=BOT, discussion_type="pull_request", discussion_status="all"
            )
            try:
                numbers = [
                    int(request.num)
                    for request in itertools.islice(found, 100)
                    if request.author == BOT and request.is_pull_request and request.status in ("open", "merged")
                ]
            except OSError as error:
                if getattr(getattr(error, "response", None), "status_code", None) in (403, 404):
                    return []  # a repository may have switched them off
                raise
        return sorted(numbers, reverse=True)[:_MOST_REQUESTS]

    @contextmanager
    def _bounded_wait(self) -> Iterator[None]:
        """For a request of huggingface_hub that would wait for ever."""
        session = self._library.get_session()
        before, session.timeout = session.timeout, self.constants.HF_HUB_DOWNLOAD_TIMEOUT
        try:
            yield
        finally:
            session.timeout = before

    def converted(self, listing: Listing, weights: Iterable[str]) -> tuple[str, Listing] | None:
        """The pull request of the bot whose safetensors are a conversion of these weights of a commit: its revision and
        files. It holds what was converted beside what came of it, and that must be the same files, digest for digest.
        """
        originals = {name: listing.files[name] for name in weights}
        for number in self.conversions():
            revision = f"refs/pr/{number}"
            try:
                other = self.listing(revision)
            except FileNotFoundError:
                continue
            files = other.chosen()
            if files is not None and files.form == SAFETENSORS and originals.items() <= other.files.items():
                return revision, other
        return None

    def fetch(self, listing: Listing, names: Iterable[str], say: Callable[[str], None] = lambda _: None) -> None:
        """Brings files of a commit into its snapshot of the cache, and checks their digests: huggingface_hub compares
        the sizes only."""
        names, all_files = tuple(names), listing.chosen()
        wanted = [name for name in (*all_files.beside, *all_files.weights) if name != CARD] if all_files else []
        cache = cached.Cache(self.constants.HF_HUB_CACHE, self.repo)
        snapshot = cache.snapshot(listing.commit)
        if size := listing.missing(names, snapshot):
            self._check_room(size, cache)
            say(f"{self.repo}: fetching {_megabytes(size)} from {self.constants.ENDPOINT}")
        for name in names:
            with explained(self.repo, listing.commit, wanted):
                self._fetch(name, listing)

    def _fetch(self, name: str, listing: Listing) -> None:
        for again in (False, True):
            path = Path(self._api.hf_hub_download(self.repo, name, revision=listing.commit, force_download=again))
            if cached.has_digest(path, listing.files[name].digest):
                return
        cached.discard(path)
        raise OSError(f"{name} came twice with another digest than the {listing.files[name].digest} that the Hub names")

    def _check_room(self, size: int, cache: cached.Cache) -> None:
        folder = next(path for path in (cache.folder, *cache.folder.parents) if path.exists())
        free = shutil.disk_usage(folder).free
        if size > free:
            raise OSError(
                f"[hub] {self.repo}: {_megabytes(size)} do not fit on the disk of {folder}, which has "
                f"{_megabytes(free)} left; make room, or set HF_HOME to a folder elsewhere"
            )


def _entry(file: Any) -> Entry | None:
    """None for what has no digest to check: it is as if it were not there."""
    if file.lfs is not None:
        return Entry(file.lfs.size, file.lfs.sha256) if cached.is_digest(file.lfs.sha256) else None
    return Entry(file.size or 0, file.blob_id) if cached.is_digest(file.blob_id) else None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
