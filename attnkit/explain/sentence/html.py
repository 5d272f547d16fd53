"""Attention as one standalone HTML page: no network, no library, usable by mouse and by keyboard.

The page itself lies beside this file (page.html, page.css, page.js); here the data is put in and everything escaped.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

import numpy as np

from attnkit.explain.drawing.pieces import SPECIAL, WORD_START, labels
from attnkit.explain.drawing.standalone import standalone_page
from attnkit.explain.sentence.map import AttentionMap
from attnkit.files import atomic_write

# The page carries each weight as a whole number of these units, which keeps the thousands of zeros one byte long.
UNITS = 10_000


def write_html(path: str | os.PathLike[str], maps: Sequence[AttentionMap], *, title: str = "Attention") -> None:
    """Writes one page that holds every map: a list of sentences, the words with their links, and the heatmap.

    With several layers or heads the page offers each of them and their mean. Tokens are shown through
    `attnkit.explain.drawing.pieces.labels`. Raises OSError.
    """
    with atomic_write(path) as file:
        file.write(_page(maps, title).encode("utf-8", "replace"))


def _page(maps: Sequence[AttentionMap], title: str) -> str:
    data = {"units": UNITS, "maps": [_plain(attention) for attention in maps]}
    return standalone_page(__package__, title, data=data)


def _plain(attention: AttentionMap) -> dict[str, object]:
    source, target = labels(attention.source_tokens), labels(attention.target_tokens)
    units = np.rint(attention.by_layer_and_head().astype(np.float64) * UNITS).astype(np.int64)
    return {
        "title": labels([attention.title])[0] if attention.title else "",
        "text": _sentence(attention.source_tokens),
        "source": source,
        "target": target,
        "sourceDirection": _direction(source),
        "targetDirection": _direction(target),
        "weights": units.reshape(attention.layers, attention.heads, -1).tolist(),  # [layers][heads][target · source]
    }


def _sentence(tokens: Sequence[str]) -> str:
    """The source as one line for the list of sentences, without the marks of pieces and of the sentence's ends."""
    words = [token for token in tokens if token not in SPECIAL]
    pieces = any(token.startswith(WORD_START) for token in words)
    text = "".join(words).replace(WORD_START, " ").strip() if pieces else " ".join(words)
    return labels([text])[0] if text else ""


def _direction(tokens: Sequence[str]) -> str:
    """ "rtl" or "ltr", whichever most of the letters with a direction have."""
    kinds = [unicodedata.bidirectional(character) for token in tokens for character in token]
    return "rtl" if kinds.count("R") + kinds.count("AL") > kinds.count("L") else "ltr"
