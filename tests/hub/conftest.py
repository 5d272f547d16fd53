"""A server of models, and a cache of one's own, for every test of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_cache import Here
from model_server import ModelServer, model_server, publish_registry, publish_student

from attnkit.hub import fetch


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    found = Here(tmp_path / "cache" / "attnkit")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("ATTNKIT_OFFLINE", "HF_HUB_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(fetch, "wait", found.waited.append)
    return found


@pytest.fixture
def server(here: Here, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    with model_server() as found:
        monkeypatch.setenv("ATTNKIT_REGISTRY", found.url)
        yield found


@pytest.fixture
def student(server: ModelServer, tmp_path: Path) -> dict[str, Any]:
    """A registry with one model, en-it."""
    entry = publish_student(server, tmp_path / "published")
    publish_registry(server, entry)
    return entry
