"""What goes wrong between here and the Hugging Face Hub, each as one line that says what to do next."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from attnkit.printable import shortened

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NAMED = 10  # files, each with its address


def library(repo: str) -> Any:
    """The package huggingface_hub, which reads its environment variables when it is imported."""
    try:
        import huggingface_hub.constants
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"[hub] {repo}: expected the package huggingface_hub, which fetches from the Hugging Face Hub, got no "
            f"{error.name}; pip install 'attnkit[hub]'"
        ) from None
    return huggingface_hub


class NotReached(ConnectionError):
    """The Hub was not reached, or does not answer as one: what the cache has may be used."""


def by_hand(endpoint: str, repo: str, revision: str, names: Iterable[str] = ()) -> str:
    """How the files come here without this program."""
    address, names = f"{endpoint}/{repo}/resolve/{revision}", list(names)
    files = " ".join(f"{address}/{name}" for name in names[:_NAMED]) if names else f"{address}/config.json"
    more = "" if names and len(names) <= _NAMED else " (and the weights and the tokenizer's files beside it)"
    return f"fetch by hand {files}{more} into a folder FOLDER, then: attnkit convert FOLDER DIRECTORY"


@contextmanager
def explained(repo: str, revision: str, names: Iterable[str] = ()) -> Iterator[None]:
    """Makes one line, of an exception that fits, of what huggingface_hub raises. names: the files that are wanted."""
    try:
        yield
    except Exception as error:
        line = _explained(error, repo, revision, names)
        if line is error:
            raise
        raise line from error


def _explained(error: Exception, repo: str, revision: str, names: Iterable[str]) -> Exception:
    from huggingface_hub import constants, errors

    endpoint = constants.ENDPOINT
    hand = by_hand(endpoint, repo, revision, names)
    match error:
        case NotReached():
            return error
        case errors.LocalEntryNotFoundError() | ValueError() if isinstance(error.__cause__, Exception):
            return _explained(error.__cause__, repo, revision, names)  # what the attempt at a file ended with
        case errors.GatedRepoError():
            return PermissionError(
                f"[hub] {repo}: its licence must be accepted first, at {endpoint}/{repo}; then set HF_TOKEN to a token "
                "of that account"
            )
        case errors.RepositoryNotFoundError():
            return FileNotFoundError(
                f"[hub] {repo}: no such repository at {endpoint}, or a private one; check the name, or set HF_TOKEN to "
                "a token that may read it"
            )
        case errors.RevisionNotFoundError():
            return FileNotFoundError(
                f"[hub] {repo}: no revision {revision!r}; {endpoint}/{repo}/tree/main lists its branches and tags"
            )
        case errors.HfHubHTTPError():
            return _by_status(error, endpoint, repo, hand)
        case errors.HTTPError():  # type: ignore[attr-defined]  # that of the library's HTTP client: no answer at all
            return NotReached(f"[hub] {repo}: {endpoint} cannot be reached ({_reason(error)}); {hand}")
        case OSError(errno=int(number)) if number in _FULL:
            return OSError(
                f"[hub] {repo}: the disk is full, or what a file may have ({error.strerror}); make room in "
                f"{constants.HF_HUB_CACHE}, or set HF_HOME to a folder elsewhere"
            )
        case OSError(strerror=str()):
            return error
        case errors.FileMetadataError() | json.JSONDecodeError() | KeyError() | TypeError() | AttributeError():
            return NotReached(
                f"[hub] {repo}: {endpoint} does not answer as the Hugging Face Hub does; check HF_ENDPOINT and the "
                f"proxy, or {hand}"
            )
    return OSError(f"[hub] {repo}: {_reason(error)}; try again, or {hand}")


def _by_status(error: Any, endpoint: str, repo: str, hand: str) -> Exception:
    """By the number that the Hub answered with."""
    status, headers = error.response.status_code, error.response.headers
    if status in (401, 403):
        return PermissionError(
            f"[hub] {repo}: {endpoint} refuses access ({status}); set HF_TOKEN to a token that may read it, or leave "
            "out one that is no longer valid"
        )
    if status == 429:
        after = headers.get("Retry-After", "")
        when = f"in {after} seconds" if after.isdecimal() else "in some minutes"
        return NotReached(
            f"[hub] {repo}: {endpoint} gets too many requests from here (429); try again {when}, or with HF_TOKEN, for "
            "which it allows more"
        )
    if status >= 500:
        return NotReached(f"[hub] {repo}: {endpoint} answers with an error of its own ({status}); try again, or {hand}")
    return FileNotFoundError(f"[hub] {repo}: {_reason(error)} ({status})")


def _reason(error: BaseException) -> str:
    return shortened(" ".join(str(error).split()) or type(error).__name__, 300)
