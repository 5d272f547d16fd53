"""A short part of `./dev soak`: sharing once, memory for seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from expected import mark
from soak import memory, sharing


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> sharing.Wanted:
    return sharing.expected(tmp_path_factory.mktemp("wanted"))


@pytest.mark.parametrize("name", [mark(name) for name in sharing.CHECKS])
def test_shared_models_say_what_one_thread_says(name: str, wanted: sharing.Wanted, tmp_path: Path) -> None:
    assert sharing.check(name, wanted, 0, tmp_path) == []


@pytest.mark.usefixtures("no_sanitizer")
@pytest.mark.parametrize(("work", "count"), [(memory.lines, 10_000), (memory.requests, 400), (memory.steps, 120)])
def test_memory_settles(work: memory.Work, count: int) -> None:
    assert work(count, 0) == []
