"""What tests of experiments share."""

from __future__ import annotations

import pytest
from tiny_experiments import make_tiny


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """See `make_tiny`."""
    make_tiny(monkeypatch)
