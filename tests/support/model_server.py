"""A server on this machine that is like the places where models are published: Mozilla's registry and its files, with
ranges, redirects, refusals, and connections that break off."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from marian_files import STUDENT, write_student


class Answer:
    """What the server does instead: a status with headers, or so many bytes and then the end of the connection."""

    def __init__(self, status: int = 200, cut: int | None = None, **headers: str) -> None:
        self.status, self.cut = status, cut
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class ModelServer:
    """files: the content of each path. odd: what else the server does with the next requests for a path, in order.
    asked: (path, Range) of every request. slow: while it is not set, the second half of a file does not come."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.odd: dict[str, list[Answer]] = {}
        self.always: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.etags = self.ranges = self.lengths = True
        self.lingers = False  # keeps a connection open behind an answer, whatever was asked for
        self._closing = threading.Event()
        self.slow = threading.Event()
        self.slow.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self.slow.set()
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def paths(self, part: str = "") -> list[str]:
        """What was asked for, of paths with this part."""
        return [path for path, _ in self.asked if part in path]

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path
        self.asked.append((path, request.headers.get("Range")))
        waiting = self.odd.get(path)
        odd = waiting.pop(0) if waiting else self.always.get(path, Answer())
        content = self.files.get(path)
        if odd.status == 200 and content is None:
            odd = Answer(404)
        if odd.status != 200 or content is None:
            request.send_response(odd.status)
            for name, value in odd.headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        with contextlib.suppress(ConnectionError):
            self._send(request, content, odd)

    def _send(self, request: BaseHTTPRequestHandler, content: bytes, odd: Answer) -> None:
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        wanted = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        start = int(wanted[1]) if self.ranges and wanted and request.headers.get("If-Range", etag) == etag else 0
        if start >= len(content) > 0:
            request.send_response(416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.etags:
            request.send_header("ETag", etag)
        for name, value in odd.headers.items():
            request.send_header(name, value)
        if self.lengths:
            request.send_header("Content-Length", str(len(content) - start))
        else:  # the end of the connection is the end of the file
            request.send_header("Connection", "close")
        request.end_headers()
        body = content[start:] if odd.cut is None else content[start : start + odd.cut]
        request.wfile.write(body[: len(body) // 2])
        request.wfile.flush()
        if request.path != "/db/models.json":
            self.slow.wait(30)
        request.wfile.write(body[len(body) // 2 :])
        request.wfile.flush()
        if self.lingers:
            self._closing.wait(25)
        if odd.cut is not None:
            request.close_connection = True
            request.connection.shutdown(2)


@contextlib.contextmanager
def model_server() -> Iterator[ModelServer]:
    server = ModelServer()
    try:
        yield server
    finally:
        server.close()


def entry(source: str, target: str, folder: str, files: dict[str, Path], **changes: Any) -> dict[str, Any]:
    """A model as the registry lists it. files: by role."""
    listed: dict[str, Any] = {role: {"path": f"{folder}/{path.name}.gz"} for role, path in files.items()}
    content = files["model"].read_bytes()
    listed["model"] |= {"uncompressedSize": len(content), "uncompressedHash": hashlib.sha256(content).hexdigest()}
    return {
        "architecture": "tiny",
        "releaseStatus": "Release",
        "sourceLanguage": source,
        "targetLanguage": target,
        "files": listed,
        "modelStatistics": {"parameters": 1234, "encoderParameters": 1000, "decoderParameters": 234},
        "metrics": {"flores200-plus": {"bleu": 38.8, "comet22": 0.8719}},
        **changes,
    }


def publish_student(
    server: ModelServer, folder: Path, source: str = "en", target: str = "it", seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """Puts a tiny student on the server as Mozilla publishes its own, packed, and returns its entry."""
    write_student(folder, STUDENT, seed)
    roles = {
        "model": "model.enit.intgemm.alphas.bin",
        "vocab": "vocab.enit.spm",
        "lexicalShortlist": "lex.50.50.enit.s2t.bin",
    }
    files = {role: folder / name for role, name in roles.items()}
    place = f"models/{source}-{target}/run_{seed}/exported"
    for path in files.values():
        server.files[f"/{place}/{path.name}.gz"] = gzip.compress(path.read_bytes(), mtime=0)
    return entry(source, target, place, files, **changes)


def publish_registry(server: ModelServer, *entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The list of all models, as Mozilla publishes it."""
    models: dict[str, list[dict[str, Any]]] = {}
    for each in entries:
        models.setdefault(f"{each['sourceLanguage']}-{each['targetLanguage']}", []).append(each)
    table = {"generated": "2026-11-01T00:44:58Z", "baseUrl": "https://models.invalid", "models": models, **changes}
    server.files["/db/models.json"] = json.dumps(table, indent=2).encode()
    return table
