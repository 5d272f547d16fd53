"""A Hugging Face Hub of this machine, for tests: the answers that huggingface_hub asks for, and every way they fail.

    with FakeHub() as hub:
        commit = hub.commit("org/name", {"config.json": b"{}", "model.safetensors": b"..."})
        subprocess.run(..., env=hub.environment(home))

Large files are on a second server, as a CDN keeps them: another origin, which must never see a token. `hub.faults`
says what shall go wrong, by the end of a path; `hub.requests` is what was asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".spm", ".npz")  # kept by git-lfs


class Request(NamedTuple):
    server: str  # "hub" or "cdn"
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Repository:
    revisions: dict[str, str] = field(default_factory=dict)  # branches: names to commits
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    discussions: list[dict[str, Any]] = field(default_factory=list)
    described: dict[str, Any] = field(default_factory=dict)  # more of the answer about the model
    gated: bool = False  # files only with a token
    private: bool = False


class FakeHub:
    """faults: kinds of failure for paths that end so, each used once: a status such as 500; "cut" in the middle of the
    content; "wrong" content of the right length; "stall" in the middle until `release` is set; "html"; "always-500",
    "always-429", "always-wrong" and so on stay."""

    token = "hf_" + "t" * 34

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self.faults: dict[str, list[str]] = {}
        self.release = threading.Event()
        self.stalled = threading.Event()
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, name)) for name in ("hub", "cdn")]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def __enter__(self) -> FakeHub:
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def commit(self, repo: str, files: dict[str, bytes], revision: str = "main") -> str:
        """Makes `files` the content of a branch. Returns the commit."""
        content = json.dumps([revision, sorted((name, hashlib.sha1(data).hexdigest()) for name, data in files.items())])
        commit = hashlib.sha1(content.encode()).hexdigest()
        repository = self.repositories.setdefault(repo, Repository())
        repository.commits[commit], repository.revisions[revision] = files, commit
        return commit

    def request_of(self, author: str, repo: str, number: int, status: str = "open") -> str:
        """A pull request; its files are those of `commit(repo, files, revision)` with the revision returned."""
        self.repositories[repo].discussions.append(
            {
                "num": number, "title": "Adding safetensors", "author": {"name": author, "type": "user"},
                "createdAt": "2023-02-23T10:11:12.000Z", "status": status, "isPullRequest": True,
                "repo": {"name": repo, "type": "model"},
            }
        )  # fmt: skip
        return f"refs/pr/{number}"

    def environment(self, home: Path, token: bool = False) -> dict[str, str]:
        """For a process whose Hub this is, and whose cache lies in `home`."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        ours |= {"HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        # This server shares the machine with other tests, and may be slow to answer.
        ours |= {"HF_HUB_DOWNLOAD_TIMEOUT": "60", "HF_HUB_ETAG_TIMEOUT": "60"}
        return ours | ({"HF_TOKEN": self.token} if token else {})

    def asked(self, part: str = "", method: str = "GET", server: str | None = None) -> Counter[str]:
        """How often each path was asked for that contains `part`."""
        return Counter(
            request.path for request in self.requests
            if part in request.path and request.method == method and server in (None, request.server)
        )  # fmt: skip

    def fault(self, path: str, method: str) -> str | None:
        for end, kinds in self.faults.items():
            if path.endswith(end) and kinds and not (method == "HEAD" and kinds[0] in ("cut", "wrong")):
                return kinds[0].removeprefix("always-") if kinds[0].startswith("always-") else kinds.pop(0)
        return None


def _handler(hub: FakeHub, name: str) -> type[BaseHTTPRequestHandler]:
    class Handler(_Hub if name == "hub" else _Cdn):  # type: ignore[misc]
        fake, server_name = hub, name

    return Handler


class _Handler(BaseHTTPRequestHandler):
    fake: FakeHub
    server_name: str
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.fake.requests.append(Request(self.server_name, self.command, unquote(address.path), headers))
        try:
            self.answer(address.path, parse_qs(address.query))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer(self, path: str, query: dict[str, list[str]]) -> None:
        raise NotImplementedError

    def send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in ({"Content_Length": str(len(content))} | headers).items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(status, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def send_failure(self, fault: str) -> None:
        if fault == "stall":
            self.fake.release.wait(300)
            self.close_connection = True
        elif fault == "html":
            self.send(200, b"<html>Please log in to this network</html>", Content_Type="text/html")
        else:
            self.send_json(
                {"error": "as the test asks"}, int(fault), **({"Retry_After": "7"} if fault == "429" else {})
            )

    def send_content(self, content: bytes, fault: str | None, **headers: str) -> None:
        """The content from where the request wants it, or what the fault makes of it."""
        status, start = 200, 0
        if (wanted := self.headers.get("Range")) and wanted.startswith("bytes=") and wanted.endswith("-"):
            status, start = 206, int(wanted[6:-1])
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if fault == "wrong":
            content = bytes(byte ^ 1 for byte in content)
        content = content[start:]
        if fault not in ("cut", "stall") or self.command == "HEAD":
            self.send(status, content, **headers)
            return
        self.send(status, b"", Content_Length=str(len(content)), **headers)
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        if fault == "stall":
            self.fake.stalled.set()
            self.fake.release.wait(60)
        self.close_connection = True


class _Hub(_Handler):
    def answer(self, path: str, query: dict[str, list[str]]) -> None:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[:2] == ["api", "resolve-cache"]:
            self.send_small("/".join(parts[3:5]), parts[5], "/".join(parts[6:]))
            return
        api = parts[:2] == ["api", "models"]
        org_name, *rest = ["/".join(parts[2:4] if api else parts[:2]), *parts[4 if api else 2 :]]
        repository = self.fake.repositories.get(org_name)
        fault = self.fake.fault(unquote(path), self.command) if api else None
        if fault:
            self.send_failure(fault)
        elif repository is None or (repository.private and not self.allowed()):
            self.send_json({"error": "Repository not found"}, 401, X_Error_Code="RepoNotFound")
        elif rest == ["discussions"]:
            self.send_discussions(repository, query)
        elif api:
            self.send_model(org_name, repository, rest[1] if rest else "main")
        elif rest[0] == "resolve":
            self.send_file(org_name, repository, rest[1], "/".join(rest[2:]))
        else:
            self.send_json({"error": "Not found"}, 404)

    def allowed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.fake.token}"

    def send_model(self, name: str, repository: Repository, revision: str) -> None:
        commit = repository.revisions.get(revision, revision)
        if commit not in repository.commits:
            self.send_json({"error": "Invalid rev id"}, 404, X_Error_Code="RevisionNotFound")
            return
        siblings = [
            {"rfilename": file, "size": len(content), "blobId": _git_digest(_stored(file, content))}
            | ({"lfs": {"size": len(content), "sha256": _sha256(content), "pointerSize": 134}} if _large(file) else {})
            for file, content in repository.commits[commit].items()
        ]
        known = {"id": name, "modelId": name, "sha": commit, "private": repository.private, "siblings": siblings}
        self.send_json(known | {"tags": [], "downloads": 0, "gated": repository.gated} | repository.described)

    def send_discussions(self, repository: Repository, query: dict[str, list[str]]) -> None:
        """Two a page. Filters as the Hub has them, but for the author's: a client must look itself."""
        found = repository.discussions
        if query.get("type") == ["pull_request"]:
            found = [each for each in found if each["isPullRequest"]]
        start = 2 * int(query.get("p", ["0"])[0])
        self.send_json({"discussions": found[start : start + 2], "count": len(found), "start": start})

    def send_file(self, name: str, repository: Repository, revision: str, file: str) -> None:
        """Where the content is: of a large file on the CDN, of a small one on another page of this server."""
        commit = repository.revisions.get(revision, revision)
        if repository.gated and not self.allowed():
            self.send_json({"error": "Access is restricted"}, 401, X_Error_Code="GatedRepo")
        elif file not in repository.commits.get(commit, {}):
            self.send_json({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
        elif _large(file):
            content = repository.commits[commit][file]
            linked = {"X_Linked_Etag": f'"{_sha256(content)}"', "X_Linked_Size": str(len(content))}
            self.send(302, X_Repo_Commit=commit, Location=f"{self.fake.cdn}/{commit}/{file}", **linked)
        else:
            self.send(307, X_Repo_Commit=commit, Location=f"/api/resolve-cache/models/{name}/{commit}/{file}")

    def send_small(self, name: str, commit: str, file: str) -> None:
        content, fault = self.fake.repositories[name].commits[commit][file], self.fake.fault(file, self.command)
        if fault and fault.isdecimal():
            self.send_failure(fault)
        else:
            self.send_content(content, fault, X_Repo_Commit=commit, ETag=f'"{_git_digest(content)}"')


class _Cdn(_Handler):
    def answer(self, path: str, query: dict[str, list[str]]) -> None:
        _, commit, file = unquote(path).split("/", 2)
        fault = self.fake.fault(file, self.command)
        if fault and fault.isdecimal():
            self.send_failure(fault)
            return
        commits = {key: files for each in self.fake.repositories.values() for key, files in each.commits.items()}
        self.send_content(commits[commit][file], fault)


def _large(file: str) -> bool:
    return file.endswith(LARGE)


def _stored(file: str, content: bytes) -> bytes:
    """What git has of a file: of a large one the pointer."""
    if not _large(file):
        return content
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{_sha256(content)}\nsize {len(content)}\n".encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_digest(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def wait_for(happened: threading.Event, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    assert happened.wait(max(0.0, end - time.monotonic())), "it never happened"
