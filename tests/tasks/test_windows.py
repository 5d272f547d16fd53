"""Windows of a stream: so many lines, or fewer long ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from untrained_model import write_untrained_model

import attnkit
from attnkit.data import arrivals
from attnkit.data.arrivals import windows


def test_a_window_has_so_many_lines_or_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MAX_CHARACTERS", 10)
    lines = ["a", "b", "c" * 20, "d", "e", "f", None, "g"]
    found = [[item for _, item in window] for window in windows(lines, 3)]
    assert found == [["a", "b", "c" * 20], ["d", "e", "f"], [None, "g"]]
    assert list(windows(["a" * 10] * 3, 9)) == [[(number, "a" * 10)] for number in range(3)]
    assert list(windows([], 3)) == []


def test_long_lines_do_not_wait_for_a_whole_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_untrained_model(tmp_path)
    translator = attnkit.load(tmp_path)
    lines = ["the cat " * 10] * 6
    whole = [result.text for result in translator.translate(lines)]
    read = []
    monkeypatch.setattr(arrivals, "MAX_CHARACTERS", 100)
    results = translator.translate_stream(read.append(line) or line for line in lines)
    next(results)
    assert len(read) == 2
    assert [result.text for result in results] == whole[1:]
