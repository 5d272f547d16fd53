"""The registry of families: each is there, and the Hub's models of each are fetched."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from attnkit.hub.huggingface_files import MODEL_TYPES
from attnkit.interop import convert
from attnkit.interop.huggingface.registry import FAMILIES

NEVER_FETCHED = {"nllb-moe", "timm"}  # what attnkit does not have, and what is no model_type


@pytest.mark.parametrize("name", sorted(FAMILIES.values()))
def test_an_entry_names_a_function(name: str) -> None:
    module, _, function = name.partition(":")
    assert callable(getattr(import_module(module), function))


def test_what_is_fetched_is_what_can_be_read() -> None:
    assert {*MODEL_TYPES} == FAMILIES.keys() - NEVER_FETCHED


@pytest.mark.parametrize("config", ['{"model_type": "llama"}', '{"model_type": 3}', '{"model_type": ["bert"]}'])
def test_an_unknown_family_is_named_with_those_that_are_known(config: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ValueError, match=r"expected a model_type of bart, bert, .*; got") as raised:
        convert(tmp_path, tmp_path / "model")
    assert "\n" not in str(raised.value)
