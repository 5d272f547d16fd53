"""How a model reads a document: what its configuration says to the reader of documents."""

from __future__ import annotations

from typing import NamedTuple


class Layout(NamedTuple):
    """How a model reads a document.

    max_length: its longest document in tokens. first, last: tokens put before and behind every document (they
    count), or None.
    max_sentence_length: longer sentences go on as a further one; None where a document is one sentence.
    """

    max_length: int
    first: int | None = None
    max_sentence_length: int | None = None
    last: int | None = None
