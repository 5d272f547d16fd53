"""Experiments on a corpus so small that training takes a moment, and shows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest


def make_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments train on 400 pairs in small batches, and test on 60."""
    from attnkit.explore import laboratory
    from attnkit.text import en_it
    from attnkit.training import read_config

    small = ["data.builtin_train=400", "data.builtin_held_out=40", "training.batch_tokens=512"]

    images = ["data.builtin_train=60", "data.builtin_held_out=20", "training.batch_images=16"]

    def read(source: Any, overrides: Sequence[str] = ()) -> Any:
        fewer = images if str(source).startswith(("digits-", "shapes")) else small
        return read_config(source, [*overrides, *fewer] if overrides else ())

    def corpus(test: int, **sizes: int) -> Any:
        return en_it.corpus(test=min(test, 60), **sizes)

    monkeypatch.setattr(laboratory, "read_config", read)
    monkeypatch.setattr(laboratory, "en_it", SimpleNamespace(corpus=corpus))
