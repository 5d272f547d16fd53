"""Files from the network: resumed where they broke off, bounded, and only by http or https. Standard library alone."""

from __future__ import annotations

import email.utils
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from attnkit import files
from attnkit._version import __version__
from attnkit.printable import quoted
from attnkit.reading import read_file

PARTIAL, VALIDATOR = ".part", ".part.json"

_ATTEMPTS = 5  # in a row that bring nothing new
_PIECE = 1 << 18
_SILENCE = 30.0  # seconds
_LONGEST_WAIT = 60.0
_PASSING = (408, 429, 500, 502, 503, 504)
_BROKEN = (http.client.HTTPException, ConnectionError, TimeoutError)

Advance = Callable[[int, int | None], object]
"""Told the bytes that are here, and how many it will be where that is known."""

wait = time.sleep


class Unreachable(OSError):
    """What is elsewhere cannot be had now: there is no network, or nobody answers."""


def fetch(url: str, to: Path, most: int, advance: Advance = lambda done, total: None) -> None:
    """Writes the file at `url` to `to`, which it becomes once it is whole. What an earlier attempt left is gone on
    with, where the server says that it is still the same file.

    The bytes are as they are stored: packed files stay packed. Raises Unreachable where the server cannot be had,
    FileNotFoundError where it has no such file, ValueError where that has more than `most` bytes, OSError for what else
    it says and for what this machine says.
    """
    partial = to.with_name(to.name + PARTIAL)
    attempts, here = 0, _size(partial)
    while True:
        try:
            _once(url, partial, most, advance)
            break
        except _Later as later:
            if later.afresh:
                partial.unlink(missing_ok=True)
            attempts = 1 if _size(partial) > here else attempts + 1
            here = _size(partial)
            if attempts >= _ATTEMPTS or later.after > _LONGEST_WAIT:
                raise Unreachable(f"{url}: {later.reason}") from None
            wait(later.after or min(2.0 ** (attempts - 1), 8.0) * random.uniform(0.5, 1.0))
    os.replace(partial, to)
    to.with_name(to.name + VALIDATOR).unlink(missing_ok=True)


class _Later(Exception):
    """It may go better another time: `after` so many seconds, or 0 where nobody says when. afresh: from the start."""

    def __init__(self, reason: str, after: float = 0.0, afresh: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.after, self.afresh = reason, after, afresh


def _once(url: str, partial: Path, most: int, advance: Advance) -> None:
    note = partial.with_name(partial.name.removesuffix(PARTIAL) + VALIDATOR)
    left = _left(url, note)
    start = _size(partial) if left.validator else 0
    if start and start == left.total:
        return
    headers = {"Range": f"bytes={start}-", "If-Range": left.validator or ""} if start else {}
    with _answer(url, headers) as answer:
        start = _start_of(answer, start)
        said = answer.headers.get("Content-Length") or ""
        length = int(said) if said.isdecimal() else None
        total = None if length is None else start + length
        if total is not None and total > most:
            raise _too_large(url, most)
        with _naming(partial):
            _remember(note, url, answer, total)
            done = _write(partial, start, _pieces(answer, length), lambda done: _check(url, done, most, total, advance))
    if total is not None and done < total:
        raise _Later(f"the connection broke off after {done:,} of {total:,} bytes")


def _write(partial: Path, start: int, pieces: Iterator[bytes], told: Callable[[int], object]) -> int:
    """Puts the pieces behind the first `start` bytes; returns how many bytes there are then."""
    with open(partial, "r+b" if start else "wb") as file:
        if start:
            file.truncate(start)
        done = file.seek(start)
        for piece in pieces:
            done += len(piece)
            told(done)
            file.write(piece)
            file.flush()  # who is killed now finds it again
        os.fsync(file.fileno())
    return done


def _check(url: str, done: int, most: int, total: int | None, advance: Advance) -> None:
    if done > most:
        raise _too_large(url, most)
    advance(done, total)


class _Left(NamedTuple):
    """What an earlier attempt noted: by what the server knows its file again, and how long that is."""

    validator: str | None = None
    total: int | None = None


def _left(url: str, note: Path) -> _Left:
    with suppress(OSError, ValueError):
        said = json.loads(read_file(note, 1 << 16))
        if isinstance(said, dict) and said.get("url") == url and isinstance(said.get("validator"), str):
            return _Left(said["validator"], said.get("total"))
    return _Left()


def _remember(note: Path, url: str, answer: Any, total: int | None) -> None:
    """A weak ETag says nothing of bytes."""
    etag = answer.headers.get("ETag")
    validator = etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified")
    with files.atomic_write(note, "w") as file:
        file.write(json.dumps({"url": url, "validator": validator, "total": total}))


def _start_of(answer: Any, start: int) -> int:
    """Where the server begins: at the beginning, unless it says that it goes on."""
    if answer.status != http.client.PARTIAL_CONTENT:
        return 0
    if not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        raise OSError(f"{answer.url}: expected the bytes from {start:,} on, got others")
    return start


def _pieces(answer: Any, length: int | None) -> Iterator[bytes]:
    """What has come, as it comes, up to `length` bytes: some servers keep the connection open behind them."""
    while length is None or length > 0:
        try:
            piece = answer.read1(_PIECE if length is None else min(_PIECE, length))
        except (http.client.HTTPException, OSError) as error:
            raise _Later(_said(error)) from None
        if not piece:
            return
        length = None if length is None else length - len(piece)
        yield piece


@contextmanager
def _naming(partial: Path) -> Iterator[None]:
    """A full disk is said with the file that did not fit: writing alone does not name it."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            raise OSError(error.errno, error.strerror, str(partial)) from error
        raise


def _too_large(url: str, most: int) -> ValueError:
    return ValueError(f"[hub] {url}: expected a file of at most {most:,} bytes, got a larger one")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


# ----- Connections


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Where a server may send us: to http and https, and from https to https alone."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old == "https" and new == "http"):
            raise OSError(f"{req.full_url}: expected to be sent to https, got {quoted(newurl)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Proxies as the environment says. There is no handler for file: and ftp:."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


@contextmanager
def _answer(url: str, headers: dict[str, str]) -> Iterator[Any]:
    """A server's answer of status 200 or 206. Raises _Later for what may pass, Unreachable, FileNotFoundError or
    OSError."""
    # Google's storage unpacks some files unless packed ones are accepted; those here are unpacked by their first bytes.
    fixed = {"User-Agent": f"attnkit/{__version__}", "Accept-Encoding": "gzip"}
    try:
        request = urllib.request.Request(url, headers={**fixed, **headers})
        answer = _opener().open(request, timeout=_SILENCE)
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(url, error) from None
    except urllib.error.URLError as error:
        raise _unreachable(url, error.reason) from None
    except _BROKEN as error:
        raise _Later(_said(error)) from None
    with closing(answer):
        yield answer


def _refusal(url: str, error: urllib.error.HTTPError) -> Exception:
    said = f"{error.code} {error.reason or ''}".strip()
    if error.code in _PASSING:
        return _Later(said, _retry_after(error.headers.get("Retry-After")))
    if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _Later(said, afresh=True)
    return FileNotFoundError(f"{url}: {said}") if error.code in (404, 410) else OSError(f"{url}: {said}")


def _unreachable(url: str, reason: object) -> Exception:
    """A name that is not known stays so; a connection that was refused or timed out may come yet."""
    if isinstance(reason, _BROKEN) and not isinstance(reason, ConnectionRefusedError):
        return _Later(_said(reason))
    return Unreachable(f"{url}: {_said(reason)}")


def _said(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection broke off"
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _retry_after(said: str | None) -> float:
    """Seconds, from a number of them or a date."""
    if said is None:
        return 0.0
    if said.strip().isdecimal():
        return float(said)
    with suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    return 0.0
