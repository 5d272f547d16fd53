"""Whole models on a second device, beside a default device that is another."""

from __future__ import annotations

from pathlib import Path

import pytest
from kept_models import MODELS, outputs

import attnkit

_testing = pytest.importorskip("attnkit._testing")
_testing.register_host2()


@pytest.mark.parametrize("source", MODELS, ids=lambda path: path.name)
def test_what_a_model_makes_lies_where_it_does(source: Path) -> None:
    model = attnkit.load(source)
    expected = outputs(model)
    model.model.to("host2")
    assert outputs(model) == expected
