"""Several samples of one input, from every kind of model that writes text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attnkit
from attnkit.decoding.shortlist import Shortlist

FORMAT = Path(__file__).parent.parent / "data" / "formats" / "1"
SEARCH: dict[str, Any] = {"sample": True, "temperature": 3.0, "seed": 2, "max_length": 6, "attention": True}


def written(name: str, **search: Any) -> list[Any]:
    model: Any = attnkit.load(FORMAT / "models" / name)
    if name == "caption":
        pictures = sorted((FORMAT / "data" / "pictures").glob("*/*.png"))[:3]
        return model.caption(pictures, **search)
    if name == "language-model":
        return model.generate(["", "a", ""], **search)
    return model.translate(["a", "the dog sees a cat", "the cat"], **search)


@pytest.mark.parametrize("name", ["translate", "translate-recurrent", "language-model", "caption"])
def test_the_first_of_several_is_the_one_alone(name: str) -> None:
    one, several = written(name, **SEARCH), written(name, nbest=4, **SEARCH)
    assert [len(result.alternatives) for result in several] == [3, 3, 3]
    assert len({each.text for result in several for each in (result, *result.alternatives)}) > 3
    for alone, result in zip(one, several, strict=True):
        assert alone.text == result.text and alone.score == pytest.approx(result.score, rel=1e-5)
        assert alone.attention is None or np.allclose(alone.attention, result.attention, atol=1e-6)


def test_samples_with_a_shortlist() -> None:
    shortlist = Shortlist.load(FORMAT / "models" / "translate" / "shortlist.safetensors")
    one = written("translate", shortlist=shortlist, **SEARCH)
    several = written("translate", shortlist=shortlist, nbest=3, **SEARCH)
    assert [result.text for result in one] == [result.text for result in several]
