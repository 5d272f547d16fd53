"""An error about one of many inputs says which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import attnkit

MODELS = Path(__file__).parent.parent / "data" / "formats" / "1" / "models"


def test_text_that_no_tokenizer_reads_is_named_by_its_line() -> None:
    model: Any = attnkit.load(MODELS / "translate")  # of SentencePiece
    for lines, prefix in ((["a", "b \ud800"], None), (["a", "b"], ["", "\ud800"])):
        with pytest.raises(ValueError, match=r"the lone surrogate U\+D800 at position \d in line 2$"):
            model.translate(lines, prefix=prefix)


def test_a_language_that_is_missing_is_named_by_its_line() -> None:
    model: Any = attnkit.load(MODELS / "translate-languages")
    with pytest.raises(ValueError, match=r"expected a language among .* for line 2, got none"):
        model.translate([f">>{model.languages[0]}<< a", "b"])
